#!/bin/bash
# dockerd with RUNTIME_PATH as its default runtime. Runs as root in the virtual machine of tests/clients/machine.
cd "$(dirname "$0")" || exit 1
. ./steps.sh

mkdir -p /etc/docker /trial
busybox_root /trial/root
cat >/etc/docker/daemon.json <<CONF
{ "runtimes": { "tested": { "path": "$RUNTIME_PATH" } }, "default-runtime": "tested", "iptables": false, "bridge": "none",
  "exec-opts": ["native.cgroupdriver=$CGROUP_MANAGER"] }
CONF
dockerd >/trial/dockerd.log 2>&1 &
if ! eventually docker version >/dev/null; then
    tail -n 20 /trial/dockerd.log
    complain "dockerd answers" "it does not" "$(docker version 2>&1)"
    summary docker
    exit
fi
step "dockerd answers" docker version
prints "tested" "docker knows the runtime" docker info --format '{{.DefaultRuntime}}'
step "an image is imported" sh -c 'tar -c -C /trial/root . | docker import - box'
prints "hello" "run" docker run --rm --network none box echo hello
ends 7 "" "the exit code is the container's" docker run --rm --network none box sh -c 'exit 7'
ends 127 "executable file not found" "a program that is missing ends 127" docker run --rm --network none box none
ends 126 "permission denied" "a file that is no program ends 126" docker run --rm --network none box /etc/passwd
step "run -d with limits" docker run -d --name first --network none --memory 64m --pids-limit 20 box sleep 1000
prints "inside" "exec" docker exec first echo inside
ends 9 "" "the exit code of exec" docker exec first sh -c 'exit 9'
prints "sleep" "top" docker top first
step "stats" docker stats --no-stream first
step "pause" docker pause first
step "unpause" docker unpause first
step "update" docker update --memory 48m --memory-swap 48m first
step "stop" docker stop -t 1 first
prints "137" "it was killed" docker inspect --format '{{.State.ExitCode}}' first
step "start" docker start first
step "kill" docker kill first
step "rm" docker rm -f first
prints "Seccomp:	2" "the default seccomp profile is on" docker run --rm --network none box grep Seccomp: /proc/self/status
prints "pid-1" "a volume" docker run --rm --network none -v /trial/root/etc:/mnt:ro box sh -c 'test -e /mnt/passwd && echo pid-1'
if [ "$RUNTIME_NAME" = ocinit ]; then
    # shellcheck disable=SC2016 # that shell's own words
    inner='mkdir -p /tmp/b/rootfs && cp -a /bin /etc /tmp/b/rootfs && mkdir /tmp/b/rootfs/proc && cd /tmp/b && /ocinit spec --rootless && sed -i "s/\"terminal\": true/\"terminal\": false/; s/\"sh\"/\"echo\",\"deep\"/" config.json && /ocinit --root /tmp/state run deep'
    nested() { docker run --rm --network none -v "$RUNTIME_PATH:/ocinit:ro" "$@" box sh -c "$inner"; }
    prints "deep" "inside a container whose procfs is not covered, and without its seccomp profile" nested --security-opt systempaths=unconfined --security-opt seccomp=unconfined
    ends 1 "user namespaces are not allowed here" "inside one with the usual restrictions it is said why not" nested
    prints "deep" "inside a privileged one" nested --privileged
fi
summary docker
