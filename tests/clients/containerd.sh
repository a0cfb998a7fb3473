#!/bin/bash
# containerd by its own client ctr, with RUNTIME_PATH as the program behind io.containerd.runc.v2: once named on the command line, once in
# containerd's configuration, as a Kubernetes RuntimeClass names it. Runs as root in the virtual machine of tests/clients/machine.
cd "$(dirname "$0")" || exit 1
. ./steps.sh

mkdir -p /etc/containerd /trial
cat >/etc/containerd/config.toml <<CONF
version = 2
[plugins."io.containerd.runtime.v1.linux"]
  runtime = "$RUNTIME_PATH"
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "$RUNTIME_NAME"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.$RUNTIME_NAME]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.$RUNTIME_NAME.options]
      BinaryName = "$RUNTIME_PATH"
CONF
busybox_root /trial/root
# An image in the layout that every registry serves.
oci_image() {
    local layer config manifest folder=/trial/oci
    blob() { local sum; sum=$(sha256sum "$1" | cut -d' ' -f1); cp "$1" "$folder/blobs/sha256/$sum"; echo "$sum"; }
    mkdir -p "$folder/blobs/sha256"
    tar -c -C /trial/root -f /trial/layer.tar . && layer=$(blob /trial/layer.tar)
    printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$layer" >/trial/config
    config=$(blob /trial/config)
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%s}]}' \
        "$config" "$(stat -c %s /trial/config)" "$layer" "$(stat -c %s /trial/layer.tar)" >/trial/manifest
    manifest=$(blob /trial/manifest)
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"io.containerd.image.name":"localhost/box:1"}}]}' \
        "$manifest" "$(stat -c %s /trial/manifest)" >"$folder/index.json"
    echo '{"imageLayoutVersion":"1.0.0"}' >"$folder/oci-layout"
    tar -c -C "$folder" -f /trial/box.tar .
}
oci_image
box=localhost/box:1
cri=${RUNTIME_NAME}
run() {
    local by_systemd=()
    [ "$CGROUP_MANAGER" != systemd ] || by_systemd=(--runc-systemd-cgroup --cgroup "system.slice:steps:$RANDOM-$RANDOM")
    ctr run --runc-binary "$RUNTIME_PATH" --runtime io.containerd.runc.v2 "${by_systemd[@]}" "$@"
}
task_is() { ctr tasks ls | grep "^$1 " | grep -q "$2"; }
cgroup_file() { cat "/sys/fs/cgroup$(cut -d: -f3 "/proc/$(ctr tasks ls | awk -v id="$1" '$1 == id { print $2 }')/cgroup")/$2"; }

containerd >/trial/containerd.log 2>&1 &
daemon=$!
step "containerd answers" eventually ctr version
step "an image is imported" ctr image import /trial/box.tar
prints "hello" "run" run --rm $box one echo hello
ends 7 "" "the exit code is the container's" run --rm $box two sh -c 'exit 7'
prints "to stderr" "stderr comes out" run --rm $box three sh -c 'echo to stderr >&2'
ends 1 "executable file not found" "a program that is missing" run --rm $box four none
prints "/dev/pts/0" "run -t has a terminal" script -qec "ctr run --runc-binary $RUNTIME_PATH --rm -t $box five tty" /dev/null
prints "X=y" "--env" run --rm --env X=y $box six env
prints "/tmp" "--cwd" run --rm --cwd /tmp $box seven pwd
prints "NoNewPrivs:	0" "--allow-new-privs" run --rm --allow-new-privs $box eight grep NoNewPrivs /proc/self/status
mkdir -p /trial/volume
step "a mount" run --rm --mount type=bind,src=/trial/volume,dst=/mnt,options=rbind:rw $box nine touch /mnt/written
step "what was written is there" test -e /trial/volume/written
ends 1 "Read-only" "--read-only" run --rm --read-only $box ten touch /x
prints "CapEff" "--privileged" run --rm --privileged $box eleven grep CapEff /proc/self/status
prints "Seccomp:	2" "--seccomp" run --rm --seccomp $box twelve grep Seccomp: /proc/self/status
prints "hi" "--pid-file" run --rm --pid-file /trial/pid $box thirteen echo hi

step "run -d" run -d --memory-limit 67108864 --cpus 0.5 $box first sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
step "it runs" eventually task_is first RUNNING
prints "67108864" "--memory-limit" cgroup_file first memory.max
prints "50000 100000" "--cpus" cgroup_file first cpu.max
prints "inside" "tasks exec" ctr tasks exec --exec-id a first echo inside
ends 9 "" "the exit code of exec" ctr tasks exec --exec-id b first sh -c 'exit 9'
prints "1000" "tasks exec --user" ctr tasks exec --user 1000 --exec-id c first id -u
prints "/tmp" "tasks exec --cwd" ctr tasks exec --cwd /tmp --exec-id d first pwd
prints "/dev/pts/" "tasks exec -t has a terminal" script -qec "ctr tasks exec -t --exec-id e first tty" /dev/null
ends 1 "not found" "exec of a program that is missing" ctr tasks exec --exec-id f first none
step "tasks exec -d" ctr tasks exec -d --exec-id g first sleep 1000
prints "PID" "tasks ps" ctr tasks ps first
prints "first" "tasks metrics" ctr tasks metrics first
step "tasks pause" ctr tasks pause first
step "it is paused" eventually task_is first PAUSED
step "tasks resume" ctr tasks resume first
step "it runs again" eventually task_is first RUNNING
step "tasks kill" ctr tasks kill -s SIGTERM first
step "it has stopped" eventually task_is first STOPPED
prints "exit code 3" "tasks delete tells the exit code" ctr tasks delete first
step "containers delete" ctr containers delete first
step "run -d, to be killed" run -d $box second sleep 1000
step "tasks kill -9 -a" ctr tasks kill -a -s 9 second
step "it has stopped too" eventually task_is second STOPPED
prints "exit code 137" "its exit code is 128 and the signal" ctr tasks delete second
step "containers delete again" ctr containers delete second
step "run -d once more" run -d $box third sleep 1000
step "containerd can be stopped and started beside a container" sh -c "kill $daemon; while kill -0 $daemon 2>/dev/null; do sleep 0.2; done; containerd >>/trial/containerd.log 2>&1 &"
step "the task is still there" eventually task_is third RUNNING
step "tasks delete -f" ctr tasks delete -f third
step "containers delete at last" ctr containers delete third
prints "$cri" "the configured runtime is known to the CRI plugin" sh -c "containerd config dump | grep -A9 'runtimes.$cri'"
step "nothing is left behind" sh -c '! pgrep -f "containerd-shim.*(first|second|third)"; [ -z "$(findmnt -rno TARGET | grep /run/containerd/io)" ]'
summary containerd
