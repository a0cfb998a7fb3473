# shellcheck shell=bash
# One of our virtual machines: what it boots, what runs in it, and its boot in QEMU. Sourced after cross/toolchain.sh, from the top of the tree.

# machine_for [TARGET]: a target's machine; without a word this machine's own kind. Sets target, kernel, ocinit, harness and busybox (programs
# of the target), host_harness (ours: it writes archives), and the variables of the target's folder; installs the emulator.
machine_for() {
    target=$(triple "${1:-}")
    load_target "$target"
    [ -n "${machine:-}" ] || die "$target: no machine is known for it; these have one: $(grep -l ^machine= cross/*/target.env | cut -d/ -f2 | tr '\n' ' ')"
    need "${machine%% *}" "$machine_package"
    need busybox busybox-static
    host_cargo
    export CARGO
    kernel=$(cross/kernel "$target")
    host_harness=$(tests/containers/build)
    if is_native "$target"; then
        harness=$host_harness busybox=$(command -v busybox)
    else
        harness=$(tests/containers/build "$target")
        busybox=$(library "$target" busybox-static "${busybox_file:-bin/busybox}")/busybox
    fi
    ocinit=$PWD/target/dist/$target/ocinit
    [ -x "$ocinit" ] || die "there is no ocinit at $ocinit: make build TARGET=${target%%-*}"
}

# run_machine SECONDS CONSOLE REPORT INITRAMFS KERNEL-LINE [QEMU-OPTION...]: boots, with what is said on the console and on the second serial
# port ($report_port) in two files. Returns QEMU's status: 124 if it had to be ended. TCG: a machine without nested virtualisation is enough.
run_machine() {
    local seconds=$1 said=$2 report=$3 initramfs=$4 line=$5
    shift 5
    rm -f "$said" "$report"
    # shellcheck disable=SC2086 # words
    timeout --foreground "$seconds" $machine -smp 2 -m "${MEMORY:-512}" -accel tcg,thread=multi \
        -nodefaults -no-user-config -display none -no-reboot -serial "file:$said" -chardev "file,id=report,path=$report" $report_device \
        -kernel "$kernel" -initrd "$initramfs" -append "console=$console panic=-1 rdinit=/init ${kernel_words:-} $line" "$@" </dev/null
}
