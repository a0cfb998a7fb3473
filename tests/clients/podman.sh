#!/bin/bash
# podman and buildah, as a user calls them, with RUNTIME_PATH as their runtime. Runs as root in the virtual machine of tests/clients/machine.
cd "$(dirname "$0")" || exit 1
. ./steps.sh

mkdir -p /etc/containers /trial
cat >/etc/containers/containers.conf <<CONF
[engine]
runtime = "$RUNTIME_NAME"
cgroup_manager = "${CGROUP_MANAGER:-cgroupfs}"
events_logger = "file"
runtime_supports_json = ["$RUNTIME_NAME"]
runtime_supports_nocgroup = ["$RUNTIME_NAME"]
[engine.runtimes]
"$RUNTIME_NAME" = ["$RUNTIME_PATH"]
CONF
busybox_root /trial/root
cat >/trial/init <<'INIT'
#!/bin/sh
[ "$1" = -- ] && shift
"$@"
INIT
chmod +x /trial/init
on_terminal() { script -qec "$*" /dev/null; }
status_of() { podman inspect --format '{{.State.Status}}' "$1" | grep -qx "$2"; }
cgroup_of() { cat "/sys/fs/cgroup$(cut -d: -f3 "/proc/$(podman inspect --format '{{.State.Pid}}' "$1")/cgroup")/$2"; }
alone="--network none"

prints "$RUNTIME_NAME" "podman knows its runtime" podman info --format '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Version}}'
step "an image is imported" sh -c 'tar -c -C /trial/root . | podman import - box'
prints "hello" "run" podman run --rm $alone box echo hello
ends 7 "" "the exit code is the container's" podman run --rm $alone box sh -c 'exit 7'
ends 137 "" "a signal is 128 and its number" podman run --rm $alone box sh -c 'sh -c "kill -9 \$\$"; exit $?'
prints "to stderr" "stderr comes out" podman run --rm $alone box sh -c 'echo to stderr >&2'
prints "through" "stdin goes in" sh -c "echo through | podman run --rm -i $alone box cat"
prints "/dev/pts/0" "run -it has a terminal" on_terminal podman run --rm -it $alone box tty
ends 127 "" "a program that is missing ends 127" podman run --rm $alone box /none
ends 126 "" "a file that is no program ends 126" podman run --rm $alone box /etc/passwd

step "run -d" podman run -d --name first $alone box sh -c 'trap "echo term; exit 3" TERM; trap "echo usr1" USR1; echo ready; while :; do sleep 0.1; done'
prints "first" "ps lists it" podman ps --format '{{.Names}}'
prints "ready" "logs" eventually sh -c 'podman logs first | grep ready'
prints "inside" "exec" podman exec first echo inside
prints "1000" "exec -u UID" podman exec -u 1000 first id -u
prints "user" "exec -u NAME" podman exec -u user first id -un
prints "/tmp" "exec -w" podman exec -w /tmp first pwd
prints "B=c" "exec -e" podman exec -e B=c first env
prints "typed" "exec -i" sh -c 'echo typed | podman exec -i first cat'
prints "/dev/pts/" "exec -it has a terminal" on_terminal podman exec -it first tty
ends 9 "" "the exit code of exec" podman exec first sh -c 'exit 9'
ends 127 "" "exec of a program that is missing ends 127" podman exec first none
ends 126 "" "exec of a file that is no program ends 126" podman exec first /etc/passwd
step "exec -d" podman exec -d first touch /detached
step "what exec -d did is there" eventually podman exec first test -e /detached
prints "sleep" "top" eventually sh -c 'podman top first args | grep sleep'
prints "running" "inspect" podman inspect --format '{{.State.Status}}' first
step "stats" podman stats --no-stream first
step "pause" podman pause first
step "it is paused" status_of first paused
ends 255 "" "exec into a paused container fails" podman exec first true
step "unpause" podman unpause first
step "kill with a signal" podman kill -s USR1 first
step "the signal arrived" eventually sh -c 'podman logs first | grep usr1'
step "cp into it" podman cp /etc/hostname first:/copied
step "what cp brought is there" podman exec first test -s /copied
step "stop" podman stop -t 10 first
prints "3" "it ended by itself" podman inspect --format '{{.State.ExitCode}}' first
step "start again" podman start first
step "restart" podman restart -t 5 first
step "rm -f" podman rm -f first
ends 1 "" "it is gone" podman container exists first

mkdir -p /trial/volume
step "a volume is written" podman run --rm $alone -v /trial/volume:/mnt box touch /mnt/written
step "what was written is there" test -e /trial/volume/written
ends 1 "Read-only" "a volume is read-only" podman run --rm $alone -v /trial/volume:/mnt:ro box touch /mnt/x
step "a named volume" podman run --rm $alone -v named:/data box touch /data/x
prints "x" "a named volume keeps what it has" podman run --rm $alone -v named:/data box ls /data
prints "tmpfs" "--tmpfs" podman run --rm $alone --tmpfs /scratch box sh -c 'grep /scratch /proc/mounts'
ends 1 "Read-only" "--read-only" podman run --rm $alone --read-only box touch /x
prints "box-host" "--hostname" podman run --rm $alone --hostname box-host box hostname
prints "1000:1000" "--user" podman run --rm $alone --user 1000:1000 box sh -c 'echo $(id -u):$(id -g)'
prints "CapEff:	0000000000001000" "--cap-drop and --cap-add" podman run --rm $alone --cap-drop all --cap-add net_admin box grep CapEff /proc/self/status
prints "NoNewPrivs:	1" "no-new-privileges" podman run --rm $alone --security-opt no-new-privileges box grep NoNewPrivs /proc/self/status
prints "Seccomp:	2" "the default seccomp profile is on" podman run --rm $alone box grep Seccomp: /proc/self/status
prints "Seccomp:	0" "seccomp=unconfined" podman run --rm $alone --security-opt seccomp=unconfined box grep Seccomp: /proc/self/status
prints "99" "--ulimit" podman run --rm $alone --ulimit nofile=99:99 box sh -c 'ulimit -n'
prints "77" "--sysctl" podman run --rm $alone --sysctl kernel.msgmni=77 box cat /proc/sys/kernel/msgmni
prints "pid-1" "--init" podman run --rm $alone --init --init-path /trial/init box sh -c '[ $$ != 1 ] && echo pid-1 is the init'
prints "$(readlink /proc/self/ns/pid)" "--pid host" podman run --rm $alone --pid host box readlink /proc/self/ns/pid
prints "100000" "--uidmap" podman run --rm $alone --uidmap 0:100000:5000 box cat /proc/self/uid_map
prints "eth0" "a network of its own with an interface" podman run --rm box ip -o link show eth0

step "limits" podman run -d --name limited $alone --memory 64m --cpus 0.5 --pids-limit 33 box sleep 1000
prints "67108864" "--memory" cgroup_of limited memory.max
prints "50000 100000" "--cpus" cgroup_of limited cpu.max
prints "33" "--pids-limit" cgroup_of limited pids.max
step "rm -f with limits" podman rm -f -t 0 limited
if [ "$RUNTIME_NAME" = runc ]; then
    skip "--cgroups=disabled" "runc has no --cgroup-manager"
else
    prints "none" "--cgroups=disabled" podman run --rm $alone --cgroups=disabled box echo none
fi
step "a health check" podman run -d --name healthy $alone --health-cmd 'test -e /etc/passwd' --health-interval disable box sleep 1000
step "healthcheck run" podman healthcheck run healthy
step "rm -f with a health check" podman rm -f -t 0 healthy
step "a pod" podman pod create --name pod --network none --infra-image box --infra-command '/bin/sleep 1000'
step "run in a pod" podman run -d --pod pod --name member box sleep 1000
prints "pod" "the pod's names are shared" podman exec member hostname
step "pod pause" podman pod pause pod
step "pod unpause" podman pod unpause pod
step "pod stop" podman pod stop -t 1 pod
step "pod rm" podman pod rm -f pod

export BUILDAH_RUNTIME=$RUNTIME_PATH
prints "work" "buildah from" buildah from --name work box
prints "built" "buildah run" buildah run --network none work -- sh -c 'echo built >/built; cat /built'
ends 5 "" "buildah run hands on the exit code" buildah run --network none work -- sh -c 'exit 5'
prints "mounted" "buildah run with a volume" buildah run --network none -v /trial/volume:/mnt work -- sh -c 'test -e /mnt/written && echo mounted'
step "buildah commit" buildah commit work built
prints "built" "podman runs what buildah built" podman run --rm $alone built cat /built
step "buildah build" sh -c 'mkdir -p /trial/context && printf "FROM box\nRUN echo two >/two\nRUN test -e /two\nCMD cat /two\n" >/trial/context/Containerfile && buildah build --network none -t second /trial/context'
prints "two" "podman runs what buildah made of a file" podman run --rm $alone second
step "buildah rm" buildah rm work

step "rm -a" podman rm -a -f -t 0
prints "" "nothing is left behind" sh -c '. ./steps.sh; left=$(leftovers); [ -z "$left" ] || { echo "$left"; exit 1; }'
summary podman
