#!/bin/bash
# podman as an ordinary user calls it, with RUNTIME_PATH as its runtime, and that runtime inside of podman's containers. Runs as root in the
# virtual machine of tests/clients/machine, which has a systemd for the user.
cd "$(dirname "$0")" || exit 1
. ./steps.sh

useradd --create-home --uid 1500 somebody
usermod --add-subuids 200000-265535 --add-subgids 200000-265535 somebody
modprobe -a tun fuse
loginctl enable-linger somebody
home=/home/somebody
as=(runuser -u somebody -- env HOME=$home XDG_RUNTIME_DIR=/run/user/1500 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1500/bus PATH="$PATH")
mkdir -p $home/.config/containers
# configured CGROUP-MANAGER: what podman is told.
configured() {
    cat >$home/.config/containers/containers.conf <<CONF
[engine]
runtime = "$RUNTIME_NAME"
cgroup_manager = "$1"
events_logger = "file"
runtime_supports_json = ["$RUNTIME_NAME"]
runtime_supports_nocgroup = ["$RUNTIME_NAME"]
[engine.runtimes]
$RUNTIME_NAME = ["$RUNTIME_PATH"]
CONF
}
configured cgroupfs
printf '[storage]\ndriver = "vfs"\n' >$home/.config/containers/storage.conf
busybox_root $home/root
mkdir $home/volume
chown -R somebody: $home
cd /
podman() { timeout "${STEP_TIMEOUT:-180}" "${as[@]}" podman "$@"; }
on_terminal() { script -qec "${as[*]} $*" /dev/null; }
imported() { tar -c -C $home/root . | podman import - box; }
piped() { echo through | podman run --rm -i $alone box cat; }
gone() { ! podman container exists "$1"; }
logged() { podman logs "$1" | grep "$2"; }
cgroup_of() { cat "/sys/fs/cgroup$(cut -d: -f3 "/proc/$(podman inspect --format '{{.State.Pid}}' "$1")/cgroup")/$2"; }
leftover() { find /run/user/1500 -path "*/$RUNTIME_NAME/*" -mindepth 2 2>/dev/null; pgrep -u somebody -a sleep; true; }
alone="--network none"

step "the user's systemd runs" eventually test -S /run/user/1500/bus
prints "true" "podman is rootless" podman info --format '{{.Host.Security.Rootless}}'
prints "$RUNTIME_NAME" "podman knows its runtime" podman info --format '{{.Host.OCIRuntime.Name}}'
step "an image is imported" imported
prints "hello" "run" podman run --rm $alone box echo hello
ends 7 "" "the exit code is the container's" podman run --rm $alone box sh -c 'exit 7'
prints "through" "stdin goes in" piped
prints "/dev/pts/0" "run -it has a terminal" on_terminal podman run --rm -it $alone box tty
prints "200000" "root is the user, others are of its range" podman run --rm $alone box cat /proc/self/uid_map
prints "1000:1000" "--user" podman run --rm $alone --user 1000:1000 box sh -c 'echo $(id -u):$(id -g)'
prints "1500" "--userns keep-id" podman run --rm $alone --userns keep-id box id -u
prints "Seccomp:	2" "the default seccomp profile is on" podman run --rm $alone box grep Seccomp: /proc/self/status
step "a volume is written" podman run --rm $alone -v $home/volume:/mnt box touch /mnt/written
prints "somebody" "what was written is the user's" stat -c %U $home/volume/written
prints "$(readlink /proc/self/ns/pid)" "--pid host" podman run --rm $alone --pid host box readlink /proc/self/ns/pid
prints "lo" "--network host" podman run --rm --network host box ip -o link show lo
prints "tap0" "--network slirp4netns" podman run --rm --network slirp4netns box ip -o link show tap0
step "run -d" podman run -d --name first $alone box sh -c 'trap "echo term; exit 3" TERM; echo ready; while :; do sleep 0.1; done'
prints "ready" "logs" eventually logged first ready
prints "inside" "exec" podman exec first echo inside
prints "1000" "exec -u UID" podman exec -u 1000 first id -u
prints "/dev/pts/" "exec -it has a terminal" on_terminal podman exec -it first tty
prints "sleep" "top" podman top first args
step "stop" podman stop -t 10 first
prints "3" "it ended by itself" podman inspect --format '{{.State.ExitCode}}' first
step "start again" podman start first
step "kill" podman kill first
step "rm -f" podman rm -f first
step "it is gone" gone first
step "a pod" podman pod create --name pod --network none --infra-image box --infra-command '/bin/sleep 1000'
step "run in a pod" podman run -d --pod pod --name member box sleep 1000
prints "pod" "the pod's names are shared" podman exec member hostname
step "pod rm" podman pod rm -f -t 0 pod
overlay="--root $home/overlay --storage-driver overlay --storage-opt overlay.mount_program=/usr/bin/fuse-overlayfs"
over() { tar -c -C $home/root . | podman $overlay import - box >/dev/null && podman $overlay run --rm $alone box grep -o 'fuse[^ ]*' /proc/mounts; }
prints "fuse" "on fuse-overlayfs" over
configured systemd
step "limits by the user's systemd" podman run -d --name limited $alone --memory 64m --pids-limit 33 box sleep 1000
prints "67108864" "--memory" cgroup_of limited memory.max
prints "33" "--pids-limit" cgroup_of limited pids.max
step "pause" podman pause limited
step "unpause" podman unpause limited
step "rm -f with limits" podman rm -f -t 0 limited
prints "" "nothing is left behind" sh -c '[ -z "$1" ] || { echo "$1"; exit 1; }' sh "$(leftover)"

if [ "$RUNTIME_NAME" = ocinit ]; then
    inner='mkdir -p /tmp/b/rootfs && cp -a /bin /etc /tmp/b/rootfs && mkdir /tmp/b/rootfs/proc && cd /tmp/b && /ocinit spec --rootless && sed -i "s/\"terminal\": true/\"terminal\": false/; s/\"sh\"/\"echo\",\"deep\"/" config.json && /ocinit --root /tmp/state run deep'
    nested() { podman run --rm $alone --cgroups=disabled -v "$RUNTIME_PATH:/ocinit:ro" "$@" box sh -c "$inner"; }
    configured cgroupfs
    prints "deep" "inside a container of podman whose procfs is not covered, and without its seccomp profile" nested --security-opt unmask=ALL --security-opt seccomp=unconfined
    ends 1 "the kernel allows no new one" "inside one with the usual restrictions it is said why not" nested
    prints "deep" "inside a privileged one" nested --privileged
fi
summary "rootless podman"
