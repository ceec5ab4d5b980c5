# Made by packaging/manual.py
_splitvirt() {
  local name=${COMP_WORDS[0]##*/} how=() current=${COMP_WORDS[COMP_CWORD]}
  if [ "$name" = splitvirt ]; then name="splitvirt ${COMP_WORDS[1]}"; fi
  case $name:${COMP_WORDS[COMP_CWORD-1]} in
    "splitvirt "*:splitvirt|"splitvirt "*:*/splitvirt) how=(-W "run status doctor call shell --help --version") ;;
    "splitvirt run:--root") how=(-d) ;;
    "splitvirt run:--virt-type") how=(-W "qemu kvm") ;;
    "splitvirt status:--root") how=(-d) ;;
    "splitvirt doctor:--root") how=(-d) ;;
    "splitvirt call:-c") how=(-W "qemu:///system qemu:///session network:///system") ;;
    "splitvirt call:--connect") how=(-W "qemu:///system qemu:///session network:///system") ;;
    "splitvirt shell:-c") how=(-W "qemu:///system qemu:///session network:///system") ;;
    "splitvirt shell:--connect") how=(-W "qemu:///system qemu:///session network:///system") ;;
    "virtqemud:--root") how=(-d) ;;
    "virtqemud:--config") how=(-f) ;;
    "virtqemud:--listen") how=(-f) ;;
    "virtqemud:--bus") how=(-W "system session none") ;;
    "virtnetworkd:--root") how=(-d) ;;
    "virtnetworkd:--config") how=(-f) ;;
    "virtnetworkd:--listen") how=(-f) ;;
    "virtnetworkd:--bus") how=(-W "system session none") ;;
  esac
  [ ${#how[@]} -gt 0 ] || case $name:$current in
    "splitvirt run:-"*) how=(-W "-h --help --root --console --expose --virt-type") ;;
    "splitvirt run:"*) how=(-f) ;;
    "splitvirt status:-"*) how=(-W "-h --help --root --session -w --watch --json") ;;
    "splitvirt doctor:-"*) how=(-W "-h --help --root --session --json -q --quiet") ;;
    "splitvirt call:-"*) how=(-W "-h --help -c --connect -r --readonly -l --list") ;;
    "splitvirt call:"*) how=(-W "domain: network: alloc_pages attach baseline_cpu baseline_hypervisor_cpu capabilities cells_free_memory compare_cpu compare_hypervisor_cpu cpu_map cpu_models create create_with_files define domain_by_id domain_by_name domain_by_uuid domain_capabilities domains free_memory free_pages hostname is_secure lib_version max_vcpus migrate_finish migrate_finish1 migrate_finish2 migrate_finish_params migrate_prepare migrate_prepare1 migrate_prepare2 migrate_prepare_params migrate_prepare_tunnel migrate_prepare_tunnel2 migrate_prepare_tunnel_params network_by_name network_by_uuid networks node_cpu_stats node_info node_memory_params node_memory_stats restore restore_params save_image_define save_image_xml security_model set_node_memory_params sev_info stats suspend_host sysinfo type uri version xml_from_native xml_to_native") ;;
    "splitvirt shell:-"*) how=(-W "-h --help -c --connect -r --readonly") ;;
    "virtqemud:-"*) how=(-W "-h --help --root --config --timeout --listen --bus --verbose --check-config --version") ;;
    "virtnetworkd:-"*) how=(-W "-h --help --root --config --timeout --listen --bus --verbose --check-config --version") ;;
  esac
  case ${how[0]} in -d|-f) compopt -o filenames 2>/dev/null || true ;; esac
  mapfile -t COMPREPLY < <([ ${#how[@]} -eq 0 ] || compgen "${how[@]}" -- "$current")
}
complete -F _splitvirt splitvirt virtqemud virtnetworkd
