# Made by packaging/manual.py
_splitvirt() {
  local words="run status doctor call shell --help --version"
  [ "$COMP_CWORD" -gt 1 ] && case ${COMP_WORDS[1]} in
    run) words="-h --help --root --console --expose --virt-type" ;;
    status) words="-h --help --root --session -w --watch --json" ;;
    doctor) words="-h --help --root --session --json -q --quiet" ;;
    call) words="-h --help -c --connect -r --readonly -l --list" ;;
    shell) words="-h --help -c --connect -r --readonly" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _splitvirt splitvirt
