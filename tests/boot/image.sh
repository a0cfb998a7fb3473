# shellcheck shell=bash
# Makes images that boot ocinit as process 1, and boots them in QEMU. Sourced by tests/boot/run, tests/boot/board and tests/boot/soak.
#
# An image is a folder that becomes the initramfs. Whatever its /check writes to the second serial port is the report; our files call that
# port /dev/report and the console /dev/the-console, which another machine has under other names.

. tests/vm/machine.sh

# A bundle's config.json: bundle PLACE ARGS-AS-JSON [ANNOTATIONS-AS-JSON [MORE-AS-JSON]]. Its root file system holds busybox alone.
bundle() {
    local folder=$image/$1
    mkdir -p "$folder/rootfs/bin"
    cp "$busybox" "$folder/rootfs/bin/busybox"
    cat >"$folder/config.json" <<END
{
  "ociVersion": "1.2.0",
  "process": {
    "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": $2,
    "env": ["PATH=/bin:/sbin:/usr/bin:/usr/sbin"],
    "capabilities": {"bounding": ["CAP_KILL", "CAP_NET_BIND_SERVICE"], "effective": ["CAP_KILL", "CAP_NET_BIND_SERVICE"], "permitted": ["CAP_KILL", "CAP_NET_BIND_SERVICE"]},
    "noNewPrivileges": true
  },
  "root": {"path": "rootfs"},
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}
  ],
  "annotations": ${3:-{\}},
  "linux": {
    "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}]
  }${4:+, $4}
}
END
}

# The image's start: ocinit as /init, busybox for the checks that run beside it.
new_image() {
    image=$work/$1
    rm -rf "$image"
    mkdir -p "$image/bin" "$image/etc/ocinit"
    cp "$ocinit" "$image/init"
    cp "$busybox" "$image/bin/busybox"
    echo "root:x:0:0:root:/:/bin/sh" >"$image/etc/passwd"
}

# Names of devices as this machine has them.
named() { sed "s,/dev/report,/dev/$report_port,g; s,/dev/the-console,/dev/$console,g" "$@"; }
# In the files of the image.
name_ports() {
    find "$image" -type f \( -name check -o -name start -o -name show -o -path '*/bin/sh' -o -name '*.json' \) | while read -r file; do named -i "$file"; done
}

# The files below the image as the archive that the kernel unpacks.
archive() {
    local file arguments=()
    name_ports
    while read -r file; do arguments+=("$file=$image/$file"); done < <(cd "$image" && find . -type f | sed 's,^\./,,')
    "$host_harness" initramfs "$work/initramfs" "${arguments[@]}"
}

# Boots the image: boot SECONDS KERNEL-LINE [QEMU-OPTION...]. Returns QEMU's status: 124 if it had to be ended.
boot() {
    local seconds=$1 line=$2
    shift 2
    run_machine "$seconds" "$work/console" "$work/report" "$work/initramfs" "$(named <<<"$line")" "$@"
}

# Where everything lies, and what is needed; TARGET is the machine's.
prepare_work() {
    mkdir -p "$TOOLS"
    machine_for "${TARGET:-}"
    work=$PWD/target/boot/$1-${target%%-*}
    mkdir -p "$work"
}
