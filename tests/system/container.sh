#!/bin/bash
# Boots this machine's own Debian under a real systemd in a throw-away container, as root, without an image:
# own namespaces (pid, mount, net, ipc, uts, cgroup) and an overlay over / whose upper layer is a tmpfs. The machine's
# own / is never written to, and its init never booted on it.
#
#   container.sh start NAME       boot; returns when systemd has settled
#   container.sh exec NAME CMD... run CMD inside; its exit status is CMD's
#   container.sh stop NAME        kill it; nothing is left behind
#
# BUS=daemon|broker   the D-Bus implementation (default: the machine's)
# UNMASKED="UNIT..."  units of the machine that are left as they are, which else are masked
# READ_ONLY="DIR..."  folders of the machine that are seen as they are, not through the overlay
set -u
STATE=/run/splitvirt-test
V1="cpu cpuacct cpuset memory devices freezer blkio pids"
MASKED="postgresql libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirt-guests virtlockd.socket
 virtlockd-admin.socket virtlogd.socket virtlogd-admin.socket e2scrub_reap e2scrub_all.timer apt-daily.timer
 apt-daily-upgrade.timer man-db.timer logrotate.timer dpkg-db-backup.timer fstrim.timer systemd-timesyncd getty.target
 systemd-pcrphase systemd-firstboot selinux-autorelabel-mark systemd-udevd.service systemd-udev-trigger
 systemd-udevd-control.socket systemd-udevd-kernel.socket dev-hugepages.mount sys-kernel-debug.mount
 sys-kernel-tracing.mount systemd-networkd dnsmasq"

die() { echo "container.sh: $*" >&2; exit 125; }
hierarchies() { for h in $V1 systemd unified; do [ -d "/sys/fs/cgroup/$h" ] && echo "$h"; done; }

join() { # put this shell into the container's cgroups, below $2; its systemd removes those that it finds empty
  local h i
  for h in $(hierarchies); do
    for i in $(seq 50); do enter_cgroup "$h" "$1" "$2" 2>/dev/null && continue 2; sleep 0.01; done
    die "cannot join cgroup $h/splitvirt-$1$2"
  done
}

enter_cgroup() {
  local top=/sys/fs/cgroup/$1 d=/sys/fs/cgroup/$1/splitvirt-$2$3 file
  mkdir -p "$d" || return 1
  if [ "$1" = cpuset ]; then
    for file in cpuset.cpus cpuset.mems; do
      [ -n "$(tr -d '\n' < "$top/splitvirt-$2/$file")" ] || cat "$top/$file" > "$top/splitvirt-$2/$file"
      [ -z "$3" ] || cat "$top/splitvirt-$2/$file" > "$d/$file"
    done
  fi
  echo $BASHPID > "$d/cgroup.procs"
}

start() {
  local name=$1 unit args=(systemd.unit=multi-user.target systemd.log_target=journal) parent pid i
  [ -e "$STATE/$name" ] && die "container $name exists"
  mkdir -p "$STATE/$name/mnt"
  for unit in $MASKED; do [[ " ${UNMASKED:-} " = *" $unit "* ]] || args+=("systemd.mask=$unit$([[ $unit = *.* ]] || echo .service)"); done
  ( join "$name" ""
    export NAME=$name FOLDER=$STATE/$name BUS=${BUS:-} READ_ONLY=${READ_ONLY:-} V1
    exec setsid unshare --fork --pid --mount --uts --ipc --net --cgroup --propagation private --kill-child=SIGKILL \
      /bin/bash "$SELF" inside "${args[@]}" </dev/null >"$STATE/$name/log" 2>&1 ) &
  parent=$!; disown; echo $parent > "$STATE/$name/parent"
  for i in $(seq 6000); do
    pid=$(pgrep -P "$parent" | head -1)
    [ -n "$pid" ] && [ -S "/proc/$pid/root/run/systemd/private" ] && [ "$(cat "/proc/$pid/comm")" = systemd ] && break
    [ -d "/proc/$parent" ] || { cat "$STATE/$name/log" >&2; stop "$name"; die "it did not boot"; }
    sleep 0.02
  done
  echo "$pid" > "$STATE/$name/pid"
  enter "$name" timeout 180 systemctl is-system-running --wait >/dev/null || {
    enter "$name" systemctl --failed --no-legend --no-pager >&2; return 1; }
}

inside() { # process 1 of the new namespaces: make the root, then become systemd
  set -e
  local root=$FOLDER/mnt/root top=$FOLDER/mnt d
  [ $$ = 1 ] || die "not in a container"
  mount -t tmpfs -o mode=755 tmpfs "$top"
  mkdir -p "$root" "$top/upper" "$top/work"
  mount -t overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" overlay "$root"
  mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
  mount -o remount,bind,ro,nosuid,nodev,noexec "$root/proc/sys"      # all but the network's are the machine's own
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
  mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
  mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
  mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/net"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
  for d in null zero full random urandom tty net/tun; do [ ! -e "/dev/$d" ] || cp -a "/dev/$d" "$root/dev/$d"; done
  ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
  ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  for d in $V1; do mkdir "$root/sys/fs/cgroup/$d"; mount -t cgroup -o "$d" cgroup "$root/sys/fs/cgroup/$d"; done
  mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
  for d in $READ_ONLY; do mkdir -p "$root$d"; mount --rbind "$d" "$root$d"; mount -o remount,bind,ro "$root$d"; done
  case $BUS in
    daemon) rm -f "$root/etc/systemd/system/dbus.service" "$root/etc/systemd/user/dbus.service" ;;
    broker) for d in system user; do
        ln -sf "/usr/lib/systemd/$d/dbus-broker.service" "$root/etc/systemd/$d/dbus.service"; done ;;
  esac
  rm -f "$root/etc/machine-id"; tr -d - < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"
  cd "$root"; mkdir -p run/old; pivot_root . run/old; cd /; umount -l /run/old; rmdir /run/old
  mount --make-rshared /
  hostname "$NAME"
  exec env -i container=splitvirt-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /lib/systemd/systemd --system "$@"
}

enter() { # run a command in the container
  local name=$1 pid; shift
  read -r pid < "$STATE/$name/pid" && [ -d "/proc/$pid" ] || die "no container $name"
  ( join "$name" /exec; exec nsenter -t "$pid" -m -u -i -n -p -C --wdns=/ -- "$@" )
}

stop() {
  local name=$1 pid parent h i
  pid=$(cat "$STATE/$name/pid" 2>/dev/null); parent=$(cat "$STATE/$name/parent" 2>/dev/null)
  [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
  [ -n "$parent" ] && kill -KILL "$parent" 2>/dev/null
  for i in $(seq 500); do [ -d "/proc/${pid:-none}" ] || [ -d "/proc/${parent:-none}" ] || break; sleep 0.02; done
  for h in $(hierarchies); do
    [ -d "/sys/fs/cgroup/$h/splitvirt-$name" ] && find "/sys/fs/cgroup/$h/splitvirt-$name" -depth -type d -exec rmdir {} +
  done
  rm -f "$STATE/$name"/{pid,parent,log}
  rmdir "$STATE/$name/mnt" "$STATE/$name"       # never rm -r: it might still be a mount point
  rmdir "$STATE" 2>/dev/null
  return 0
}

SELF=$(readlink -f "$0")
command=${1:-}; [ $# -gt 0 ] && shift
case $command in
  start) start "$@" ;;
  inside) inside "$@" ;;
  exec) enter "$@" ;;
  stop) stop "$@" ;;
  *) sed -n '2,14p' "$SELF"; exit 2 ;;
esac
