# shellcheck shell=bash
# Scenarios about bundles as they lie on flash: images, what they must be, updates. Sourced by tests/boot/run after the others.

# The modules that images want, into the machine, and their paths as JSON: modules NAME...
flash_modules() {
    local file
    mkdir -p "$image/modules"
    for file in $(cross/modules "$target" "$@"); do cp "$file" "$image/modules/"; done
    printf '"modules":["/modules/%s.ko"' "$1"
    shift
    printf ',"/modules/%s.ko"' "$@"
    printf ']'
}

# A bundle whose root file system is an image instead of the directory: image_of BUNDLE NAME [MORE-OF-THE-WORD].
image_of() {
    local folder=$image/$1
    mkdir -p "$folder/rootfs"/{proc,dev,run,etc}
    mksquashfs "$folder/rootfs" "$folder/$2" -noappend -quiet -all-root -comp gzip >/dev/null
    rm -r "$folder/rootfs"
    sed -i "s|\"annotations\": {|\"annotations\": {\"org.ocinit.image\": \"$2${3:-}\", |; s|, }|}|" "$folder/config.json"
}

# Formats a hash tree; prints its root.
root_hash() { PATH=$PATH:/usr/sbin veritysetup format "$@" | sed -n 's/^Root hash:[[:space:]]*//p'; }

scenario_images() {
    need mksquashfs squashfs-tools
    need mkfs.erofs erofs-utils
    need veritysetup cryptsetup-bin
    need fsverity fsverity
    local modules size root folder digest
    new_image images
    modules=$(flash_modules loop squashfs libcrc32c erofs overlay)
    for name in plain written kept; do
        bundle "containers/services/$name" "$(shell 'grep -o \" / / .*\" /proc/self/mountinfo; exec sleep 1000')"
        image_of "containers/services/$name" app.squashfs
    done
    sed -i 's|"org.ocinit.image"|"org.ocinit.image.upper": "tmpfs:1m", "org.ocinit.image"|' "$image/containers/services/written/config.json"
    sed -i 's|"org.ocinit.image"|"org.ocinit.image.upper": "/data/kept", "org.ocinit.image"|; s|exec sleep|echo $(($(cat /n) + 1)) >/n; echo count $(cat /n); exec sleep|' "$image/containers/services/kept/config.json"
    bundle containers/services/erofs "$(shell 'grep -o \" / / .*\" /proc/self/mountinfo; exec sleep 1000')"
    folder=$image/containers/services/erofs
    mkdir -p "$folder/rootfs"/{proc,dev,run}
    mkfs.erofs "$folder/app.erofs" "$folder/rootfs" >/dev/null
    rm -r "$folder/rootfs"
    sed -i 's|"path": "rootfs"|"path": "app.erofs"|' "$folder/config.json"
    # dm-verity: the tree in the tail, the tree in a file of its own, a root that is another, and a block that is another.
    for name in tail beside other broken; do
        bundle "containers/services/$name" "$(shell 'sha256sum /bin/busybox | cut -c1-8; grep -o \" / / .*\" /proc/self/mountinfo; exec sleep 1000')" '{"org.ocinit.boot.limit":"1","org.ocinit.boot.delay":"50ms"}'
        image_of "containers/services/$name" app.squashfs @verity:ROOT
        folder=$image/containers/services/$name
        size=$(stat -c %s "$folder/app.squashfs")
        if [ "$name" = beside ]; then
            root=$(root_hash "$folder/app.squashfs" "$folder/app.squashfs.verity")
        else
            root=$(root_hash --hash-offset="$size" "$folder/app.squashfs" "$folder/app.squashfs")
        fi
        [ "$name" != other ] || root=$(tr 0-9 1-90 <<<"$root")
        [ "$name" != broken ] || printf '\377\377\377\377' | dd of="$folder/app.squashfs" bs=1 seek=$((size / 2)) conv=notrunc status=none
        sed -i "s/@verity:ROOT/@verity:$root/" "$folder/config.json"
    done
    # fs-verity, on a disk whose file system has it.
    bundle containers/services/measured "$(shell 'exec sleep 1000')" '{"org.ocinit.boot.after":"path:/data/app.squashfs","org.ocinit.boot.limit":"1000","org.ocinit.boot.delay":"50ms","org.ocinit.boot.delay-max":"500ms"}'
    image_of containers/services/measured app.squashfs
    folder=$image/containers/services/measured
    digest=$(PATH=$PATH:/usr/sbin fsverity digest --compact "$folder/app.squashfs")
    sed -i "s|\"app.squashfs\"|\"/data/app.squashfs@fsverity:$digest\"|" "$folder/config.json"
    # A digest of the whole file.
    for name in whole changed; do
        bundle "containers/services/$name" "$(shell 'exec sleep 1000')" '{"org.ocinit.boot.limit":"1","org.ocinit.boot.delay":"50ms"}'
        image_of "containers/services/$name" app.squashfs "@sha256:DIGEST"
        folder=$image/containers/services/$name
        sed -i "s/DIGEST/$(sha256sum "$folder/app.squashfs" | cut -c1-64)/" "$folder/config.json"
    done
    printf x >>"$folder/app.squashfs"
    cp "$harness" "$image/peer"
    mkdir -p "$image/data"
    boot_json "$modules,\"mounts\":[{\"source\":\"/dev/nvme0n1\",\"target\":\"/data\",\"type\":\"ext4\",\"wait-for\":\"10s\"}],\"bundles\":[{\"id\":\"kept\",\"after\":[\"mount-data:exited\"]}]"
    checks <<END
mkdir -p /x && ln -s /peer /x/containers
loops() { cat /sys/block/loop*/loop/backing_file 2>/dev/null; }
sha=\$(sha256sum /bin/busybox | cut -c1-8)
check "a bundle runs from squashfs" state plain ready
check "by a loop device" eval 'said plain | grep -q "squashfs /dev/loop[0-9]* ro"'
check "and the host's mounts do not show it" eval '! grep -q squashfs /proc/self/mountinfo'
check "and from erofs" eval 'said erofs | grep -q "erofs /dev/loop[0-9]* ro"'
check "memory is laid over it" eval 'said written | grep -q " / / rw.*overlay"'
check "a directory keeps what is written" eval 'said kept | grep -q "count 1"'
/init service restart kept
check "over a restart" eval 'said kept | grep -q "count 2"'
echo "--- dm-verity is not there yet"
check "what needs dm-verity fails without it" eval 'state tail failed && said tail | grep -q "the kernel has no device-mapper"'
for module in reed_solomon dm-mod dm-bufio dm-verity; do insmod /verity/\$module.ko; done
for name in tail beside other broken; do /init service start \$name; done
check "a hash tree in the tail is gone by" eval 'state tail ready && said tail | grep -q "squashfs /dev/dm-[0-9]* ro" && said tail | grep -q "\$sha"'
check "and one in a file of its own" eval 'state beside ready && said beside | grep -q "\$sha"'
check "another root is refused" eval 'state other failed && said other | grep -q "what is in it is not what its root hash says"'
check "a block that is another is never given" eval '! said broken | grep -q "\$sha"'
dmesg | grep -q "verity.*corrupted" && echo "ok and the kernel says so" || echo "not ok and the kernel says so"
check "a digest of the whole file is gone by" state whole ready
check "and another file refused" eval 'state changed failed && said changed | grep -q "its SHA-256 is [0-9a-f]*"'
cp /containers/services/measured/app.squashfs /data/new && mv /data/new /data/app.squashfs
check "without fs-verity on it the file is refused" eval 'said measured | grep -q "fs-verity is not enabled on it"'
/x/containers peer enable-verity /data/app.squashfs || echo "not ok enable fs-verity"
check "with it the bundle runs" state measured ready
/init service stop measured
check "it stops" state measured stopped
rm /data/app.squashfs; cp /containers/services/plain/app.squashfs /data/app.squashfs; echo x >>/data/app.squashfs
/x/containers peer enable-verity /data/app.squashfs; /init service start measured
check "and another file is not run" eval 'said measured | grep -q "its fs-verity digest is [0-9a-f]*"'
for name in plain written kept erofs tail beside other broken whole measured; do /init service stop \$name; done
check "nothing keeps a loop device" eval 'test -z "\$(loops)"'
check "nor a mapped one" eval '! ls /sys/block | grep -q dm-'
END
    mkdir -p "$image/verity"
    for module in $(cross/modules "$target" reed_solomon dm-mod dm-bufio dm-verity); do cp "$module" "$image/verity/"; done
    archive
    disk -O verity -b 4096
    passes 240 "quiet" "${DISK[@]}"
}

# Signs a config.json or boot.json of the image: signed FILE [KEY].
signed() { named -i "$1" && openssl pkeyutl -sign -rawin -inkey "$work/${2:-board}.pem" -in "$1" -out "$1.sig"; }

scenario_signatures() {
    # Where signatures are required process 1 boots what is signed, and no word of the kernel's line lifts that.
    need mksquashfs squashfs-tools
    need openssl openssl
    local modules name key folder more
    new_image signatures
    mkdir -p "$image/etc/ocinit/keys" "$image/etc/ocinit/boot.d"
    for key in board stranger; do
        openssl genpkey -algorithm ed25519 -out "$work/$key.pem"
        openssl pkey -in "$work/$key.pem" -pubout -outform DER | tail -c 32 >"$work/$key.pub"
    done
    cp "$work/board.pub" "$image/etc/ocinit/keys/"
    echo x >"$image/etc/ocinit/keys/required"
    modules=$(flash_modules loop squashfs)
    for name in good unsigned stranger altered other beside layered; do
        more=
        [ "$name" != layered ] || more=',"org.ocinit.image.upper":"/tmp/over"'
        bundle "containers/services/$name" "$(shell 'exec sleep 1000')" "{\"org.ocinit.boot.restart\":\"no\",\"org.ocinit.release\":\"$name:3\"$more}"
        image_of "containers/services/$name" app.squashfs "@sha256:DIGEST"
        folder=$image/containers/services/$name
        sed -i "s/DIGEST/$(sha256sum "$folder/app.squashfs" | cut -c1-64)/; s|\"app.squashfs@\([^\"]*\)\"|\"app.squashfs@\1\", |; s|, *, *|, |" "$folder/config.json"
        signed "$folder/config.json"
    done
    rm "$image/containers/services/unsigned/config.json.sig"
    signed "$image/containers/services/stranger/config.json" stranger
    echo >>"$image/containers/services/altered/config.json"
    echo '{"mkdir":["/tmp/planted"]}' >"$image/containers/services/beside/runtime.json"
    boot_json "$modules,\"release\":\"boot:1\",\"hostname\":\"signed\",\"bundles\":[{\"id\":\"good\",\"digest\":\"sha256:$(sha256sum "$image/containers/services/good/config.json" | cut -c1-64)\"},{\"id\":\"other\",\"digest\":\"sha256:$(sha256sum "$image/containers/services/good/config.json" | cut -c1-64)\"}]"
    signed "$image/etc/ocinit/boot.json"
    sed 's/boot:1/boot:2/' "$image/etc/ocinit/boot.json" >"$image/next.json"
    signed "$image/next.json"
    echo '{"version":1,"release":"more:1","console":[{"args":["/bin/busybox","sleep","1000"]}]}' >"$image/etc/ocinit/boot.d/more.json"
    checks <<'END'
check "what is signed runs" state good ready
check "what is not is said" eval 'state unsigned failed && dmesg | grep -q "unsigned: signature: .*: it is not signed, and signatures are required"'
check "a stranger's word does not count" eval 'state stranger failed && dmesg | grep -q "stranger: signature: .*: no key in /etc/ocinit/keys has signed it"'
check "nor one over another text" eval 'state altered failed && dmesg | grep -q "altered: signature: .*: no key"'
check "nor what boot.json pins to something else" eval 'state other failed && dmesg | grep -q "other: it is not what boot.json pins it to"'
check "nor what lies beside it and would act on the host" eval 'state beside failed && said beside | grep -q "runtime.json: .*is covered neither" && ! test -e /tmp/planted'
check "nor a directory over its images" eval 'state layered failed && said layered | grep -q "root: signatures are required"'
check "boot.json is taken" test "$(cat /proc/sys/kernel/hostname)" = signed
check "what adds to it and is not signed is not" eval 'dmesg | grep -q "boot.d/more.json: it is not signed" && ! /init service list | grep -q console-1'
check "the kernel's line gets no shell" eval '! /init service list | grep -q "^shell" && dmesg | grep -q "gets no shell"'
check "nor does the command line run what is unsigned" eval '! /init run -b /containers/services/unsigned by-hand 2>/tmp/why && grep -q "it is not signed" /tmp/why'
check "nor can a service be started that is not" eval '/init service start stranger; sleep 1; state stranger failed'
check "releases are written down" eval 'test "$(cat /var/lib/ocinit/releases/good /var/lib/ocinit/releases/boot)" = 31'
check "a check of the next boot.json writes none down" eval '/init boot --check /next.json >/tmp/checked 2>&1; ! grep -q next.json /tmp/checked && test "$(cat /var/lib/ocinit/releases/boot)" = 1'
mv /etc/ocinit/boot.json.sig /etc/ocinit/kept
/init service reload; sleep 3
check "a boot.json that lost its signature is not loaded" eval 'state good ready && dmesg | grep -q "the new configuration is not used"'
END
    archive
    passes 240 "quiet single ocinit.shell"
}
