#!/bin/sh
# Puts splitvirt's services into a systemd machine: units, sockets, bus activation and policies, polkit actions.
#
#   packaging/install.sh [--python DIR] [--now]     as root; DESTDIR=... stages a package instead
#
# --python DIR   a virtual environment with splitvirt[daemons]; /usr/lib/splitvirt becomes a link to it. Without it one
#                is made beside it from this checkout; the one before stays, for the daemons that run from it. It must not
#                lie below /root or /home, which the units cannot see.
# --now          enable the sockets and start them; daemons that run are restarted, which loses no call and no guest.
#                libvirt's own daemon, which would manage the same guests, is disabled; its guests go on running.
#                Users' own daemons (qemu:///session) are there from their next login on
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
root=${DESTDIR:-}
python= now=
while [ $# -gt 0 ]; do
  case $1 in
    --python) python=$2; shift ;;
    --now) now=yes ;;
    *) sed -n '2,11p' "$0"; exit 2 ;;
  esac
  shift
done

# What is the same already stays, and what is new is there at once: a message bus that reads its policy while that is
# written, or gone for a moment, refuses calls, and a daemon its name.
told=
put() { # mode, folder, files...
  mode=$1 folder=$root$2; shift 2
  install -d "$folder"
  for each in "$@"; do
    name=${each##*/}
    cmp -s "$each" "$folder/$name" && continue
    install -m "$mode" "$each" "$folder/.$name.new"
    mv -f "$folder/.$name.new" "$folder/$name"
    case $folder in */dbus-1/*) told=no ;; esac
  done
}

lib=$root/usr/lib/splitvirt
install -d "$root/usr/lib"
if [ -n "$python" ]; then
  case $python in /root/*|/home/*) echo "install.sh: $python cannot be seen by the units" >&2; exit 1 ;; esac
else
  before=$(readlink "$lib" || true)
  python=splitvirt-$(date -u +%Y%m%d%H%M%S)
  python3 -m venv "$root/usr/lib/$python"
  "$root/usr/lib/$python/bin/pip" install --quiet --compile "$here[daemons]"
  for old in "$lib"-[0-9]*; do
    case ${old##*/} in "$python"|"$before") ;; *) rm -rf "$old" ;; esac
  done
fi
rm -f "$lib.new"
ln -s "$python" "$lib.new"
[ -L "$lib" ] || [ ! -e "$lib" ] || mv "$lib" "$lib-0"
mv -T "$lib.new" "$lib" # at once: a call may start a daemon at any time

# Members of this group manage guests without a password (policy/polkit/60-splitvirt.rules); Debian's libvirt has it too.
[ -n "$root" ] || getent group libvirt >/dev/null || groupadd --system libvirt

# Whom guests run as, and whose their files are meanwhile; as Debian's libvirt makes it, whose numbers are the same on
# every host. Its first group may use /dev/kvm.
if [ -z "$root" ]; then
  free() { getent "$1" 64055 >/dev/null || echo "$2 64055"; }
  getent group kvm >/dev/null || groupadd --system kvm
  getent group libvirt-qemu >/dev/null || groupadd --system $(free group --gid) libvirt-qemu
  getent passwd libvirt-qemu >/dev/null || useradd --system $(free passwd --uid) --gid kvm --groups libvirt-qemu \
    --home-dir /var/lib/libvirt --no-create-home --shell /usr/sbin/nologin --comment 'Libvirt Qemu' libvirt-qemu
fi

put 644 /usr/lib/systemd/system "$here"/systemd/system/*
put 644 /usr/lib/systemd/user "$here"/systemd/user/*
# a unit's device list knows only drivers that are loaded when it is started
install -d "$root/usr/lib/modules-load.d"
echo macvtap > "$root/usr/lib/modules-load.d/splitvirt.conf"
put 644 /usr/share/dbus-1/system-services "$here"/systemd/dbus/system-services/*
put 644 /usr/share/dbus-1/services "$here"/systemd/dbus/services/*
put 644 /usr/share/dbus-1/system.d "$here"/policy/dbus/*.conf
for file in "$here"/policy/polkit/*.policy; do # libvirt's own package may have put the same actions there
  [ -e "$root/usr/share/polkit-1/actions/${file##*/}" ] || put 644 /usr/share/polkit-1/actions "$file"
done
for file in "$here"/policy/polkit/*.rules; do
  [ -e "$file" ] && put 644 /usr/share/polkit-1/rules.d "$file"
done
if [ ! -e "$root/etc/libvirt/qemu/networks" ]; then # an admin who removed the default network does not get it back
  install -D -m 600 "$here/packaging/default.xml" "$root/etc/libvirt/qemu/networks/default.xml"
fi
install -d "$root/usr/bin"
ln -sf ../lib/splitvirt/bin/splitvirt "$root/usr/bin/splitvirt"
install -d "$root/usr/sbin"
for daemon in virtqemud virtnetworkd; do # by hand: --check-config, --root
  [ -e "$root/usr/sbin/$daemon" ] || ln -sf ../lib/splitvirt/bin/$daemon "$root/usr/sbin/$daemon"
done
for page in "$here"/docs/man/*.[18]; do
  [ -e "$page" ] && put 644 "/usr/share/man/man${page##*.}" "$page"
done
if [ -e "$here/packaging/completion/splitvirt.bash" ]; then
  install -D -m 644 "$here/packaging/completion/splitvirt.bash" "$root/usr/share/bash-completion/completions/splitvirt"
  for daemon in virtqemud virtnetworkd; do ln -sf splitvirt "$root/usr/share/bash-completion/completions/$daemon"; done
  install -D -m 644 "$here/packaging/completion/_splitvirt" "$root/usr/share/zsh/vendor-completions/_splitvirt"
fi

if [ -n "$now" ]; then
  modprobe -q macvtap 2>/dev/null || true # built in, or not there: then there is no macvtap
  systemctl daemon-reload
  # only for what is new: a dbus-daemon that reads its configuration asks for users, and machined, which answers, asks the
  # bus in turn: both then wait for almost a minute
  [ -z "$told" ] || busctl call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig >/dev/null 2>&1 || true
  rivals=
  for unit in libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd-tcp.socket libvirtd-tls.socket; do
    if systemctl --quiet is-enabled $unit 2>/dev/null || systemctl --quiet is-active $unit; then rivals="$rivals $unit"; fi
  done
  if [ -n "$rivals" ]; then
    systemctl --quiet disable --now $rivals
    echo "install.sh: libvirt's own daemon is disabled; to go back: systemctl enable --now$rivals"
  fi
  for daemon in virtqemud virtnetworkd; do
    case $(systemctl is-enabled $daemon.service $daemon.socket) in *masked*) continue ;; esac # somebody wants it so
    systemctl --quiet enable $daemon.service $daemon.socket $daemon-ro.socket $daemon-admin.socket
    systemctl --quiet --global enable $daemon.service $daemon.socket $daemon-admin.socket
    systemctl start $daemon.socket $daemon-ro.socket $daemon-admin.socket 2>/dev/null ||
      systemctl restart $daemon.service # it runs without one of them, and brings it along
  done
  systemctl try-restart virtnetworkd.service virtqemud.service
fi
