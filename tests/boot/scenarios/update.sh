# shellcheck shell=bash
# Scenarios of boots and updates that turn out to be bad: what there was before comes back. Sourced by tests/boot/run.

# The data partition, which these keep.
UPDATE_DATA='"mounts":[{"source":"/dev/nvme0n1","target":"/data","type":"ext4","wait-for":"10s"}],"data":"/data/ocinit"'

scenario_good_boot() {
    # A boot that is not good in time is ended by a reboot, twice; the third stays up. One that is good sets the count back.
    local round
    new_image good_boot
    with_shell
    bundle containers/services/vital "$(shell 'test -e /data/well && echo >&3; exec sleep 1000')" '{"org.ocinit.boot.critical":"true","org.ocinit.boot.ready":"fd"}'
    bundle containers/services/mark "$(shell 'echo marked >>/data/marks')" '{"org.ocinit.boot.kind":"oneshot"}'
    shows_data containers/services/vital
    shows_data containers/services/mark
    mkdir -p "$image/data" && echo x >"$image/data/.keep"
    boot_json "$UPDATE_DATA"',"on-ready":["start:mark"],"stable":"1s","ready-timeout":"12s"'
    checks <<'END'
check "what all depends on runs" eval 'state vital starting || state vital ready'
echo "attempt $(cat /data/ocinit/attempts)"
if test -e /data/well; then
    check "the boot is good" eval 'dmesg | grep -q "mark: the boot is good"'
    check "which is said once" eval 'test "$(cat /data/marks)" = marked && state mark done'
    check "the count is gone" eval '! test -e /data/ocinit/attempts'
    sleep 12
    check "it stays up" state vital ready
else
    never "nothing says that it is good" test -e /data/marks
    check "it stays up the third time" eval 'dmesg | grep -q "attempt 3 of 3: the machine stays up as it is"'
    check "with what runs" state vital starting
    touch /data/well
fi
END
    archive
    disk
    for round in 1 2; do
        boot 120 "quiet loglevel=6" "${DISK[@]}" && ended=0 || ended=$?
        is "boot $round is ended" test "$ended" = 0
        is "boot $round is counted" grep -q "^attempt $round" "$work/report"
        is "boot $round ends in a reboot" grep -q "reboot, because of a boot that was not good in time" "$work/console"
    done
    passes 120 "quiet" "${DISK[@]}"
    passes 120 "quiet" "${DISK[@]}"
}

# A version of a bundle as it is handed over, config.json and an image that it pins: version BUNDLE NUMBER [SCRIPT [ANNOTATIONS]].
version() {
    local folder=new/$1-$2
    bundle "$folder" "$(shell "echo version $2; ${3:-exec sleep 100000}")" "${4:-{\}}"
    image_of "$folder" app.squashfs "@sha256:DIGEST"
    sed -i "s/DIGEST/$(sha256sum "$image/$folder/app.squashfs" | cut -c1-64)/; s|\(\"app.squashfs@[^\"]*\"\), }|\1}|; s|\(\"app.squashfs@[^\"]*\"\)\(\"\)|\1, \2|" "$image/$folder/config.json"
}

# What the machine knows of updates, for `checks`.
UPDATE_WORDS='
install() { /init bundle install "$@" 2>&1; }
listed() { test "$(/init bundle list $1 | tail -n 1 | tr -s " " | sed "s/ $//")" = "$*"; }
runs() { state $1 ready && said $1 | grep "version" | tail -n 1 | grep -q "version $2"; }
cut_power() { echo "the end"; sleep 0.3; echo b >/proc/sysrq-trigger; sleep 60; }
'

scenario_updates() {
    # A good update is kept; a broken one, one that is not what it was, and one during which the power is cut are taken back by themselves.
    local modules
    need mksquashfs squashfs-tools
    new_image updates
    modules=$(flash_modules loop squashfs)
    bundle containers/services/app "$(shell 'echo version 0; exec sleep 100000')"
    version app 1
    version app 2 'exit 3'
    version app 5
    version only 1
    version only 2 true '{"org.ocinit.boot.kind":"oneshot"}'
    cp -r "$image/new/app-1" "$image/new/other" && truncate -s 100000 "$image/new/other/app.squashfs"
    mkdir -p "$image/new/deep/rootfs" && cp "$image/new/app-1/config.json" "$image/new/deep/" && echo x >"$image/new/deep/rootfs/file"
    mkdir -p "$image/data" && echo x >"$image/data/.keep"
    boot_json "$modules,$UPDATE_DATA"',"stable":"6s"'
    {
        echo "$UPDATE_WORDS"
        cat <<'END'
until grep -q " /data " /proc/mounts; do sleep 0.2; done
touch /data/phase
echo x >>/data/phase; sync
case $(wc -l </data/phase) in
1)
    check "what the image holds runs" runs app 0
    check "a version is installed" eval 'install app /new/app-1 | grep -q "app: version 1 is installed, and on trial from its next start"'
    check "and not started yet" eval 'listed app 1 - new - && runs app 0'
    /init service restart app
    check "then it is on trial" listed app 1 - on trial -
    check "and runs" runs app 1
    check "it is kept" eval 'listed app 1 - good - && dmesg | grep -q "app: the new version is kept"'
    check "a directory that holds more than files is refused" eval 'install app /new/deep | grep -q "it holds something else than files"'
    check "and an image that is another" eval 'install app /new/other | grep -q "its SHA-256 is"'
    check "nothing is left of them" eval 'test "$(ls /data/ocinit/bundles/app | tr "\n" " ")" = "1 current "'
    install app /new/app-2; /init service restart app
    check "one that crashes is taken back" eval 'listed app 1 - good 2: ended with 3 before it was good && runs app 1'
    check "which is said" eval 'dmesg | grep -q "app: what was there before is started" && said app | grep -q "version 2 was not good"'
    install app /new/app-5
    echo x >>/data/ocinit/bundles/app/3/app.squashfs; /init service restart app
    check "one that is no more what it was is taken back" eval '/init bundle list app | grep -q "1 *- *good *3: .*its SHA-256 is" && runs app 1'
    dd if=/dev/zero of=/data/big bs=64k 2>/dev/null
    check "where there is no room it is said" eval 'install app /new/app-5 | grep -q "install: app: it needs [0-9]* KiB with what is left over, and [0-9]* KiB are free"'
    rm /data/big
    check "and what runs runs" eval 'runs app 1 && listed app 1 - good 3:* || /init bundle list app | grep -q "^app *1 "'
    install app /new/app-5; /init service restart app
    check "the next one is kept" eval '/init bundle list app | grep -q "^app *4 *1 *good" && runs app 5'
    /init bundle rollback app; /init service restart app
    check "it can be taken back by hand" eval 'runs app 1 && /init bundle list app | grep -q "^app *1 *4 *good"'
    /init bundle rollback app; /init service restart app
    check "and forth" runs app 5
    check "what runs is not removed" eval '/init bundle remove app 2>&1 | grep -q "it has to be stopped first"'
    install app /new/app-1; /init service restart app
    check "one more is on trial" eval '/init bundle list app | grep -q "^app *5 *4 *on trial"'
    cut_power
    ;;
2)
    check "after a power cut in its trial the one before runs" runs app 5
    check "which is written down" listed app 4 - good 5: the machine went down before it was good
    /init service stop app
    check "all versions can be removed" eval '/init bundle remove app && ! test -e /data/ocinit/bundles/app'
    /init service start app
    check "then what the image holds runs again" runs app 0
    install app /new/app-2; /init service restart app
    check "which also can be gone back to" eval 'runs app 0 && /init bundle list app | grep -q "^app *- *- *- *1: ended with 3"'
    check "a bundle that was not there is installed" install only /new/only-1
    install oneshot /new/only-2
    /init service reload
    check "and runs after a reload" eval 'runs only 1 && listed only 1 - good -'
    check "a oneshot is kept when it has ended" eval 'state oneshot done && listed oneshot 1 - good -'
    ;;
3)
    check "it is there at the next boot, though its file system comes late" runs only 1
    check "no word names it" eval '/init bundle list nobody | tail -n +2 | wc -l | grep -q "^0$"'
    check "what is nonsense is refused" eval '! /init bundle install ../x /new/app-1 && ! /init bundle explode app && ! /init bundle rollback only'
    ;;
esac
END
    } | checks
    archive
    disk
    boot 240 "quiet" "${DISK[@]}" || true
    count_report
    passes 180 "quiet" "${DISK[@]}"
    passes 120 "quiet" "${DISK[@]}"
    is "the file system is in order" e2fsck -fn "$work/disk"
}

scenario_update_cuts() {
    # The power goes at a seeded moment while versions are installed, switched to and on trial: each boot has the old or the new, and the record
    # says which.
    local seed=${SEED:-20261124} round rounds modules tenths
    need mksquashfs squashfs-tools
    rounds=$(count 4 200)
    echo "update_cuts: the seed is $seed"
    new_image update_cuts
    modules=$(flash_modules loop squashfs)
    bundle containers/services/app "$(shell 'echo version 0; exec sleep 100000')" '{"org.ocinit.boot.stop-timeout":"100ms"}'
    version app 1
    version app 2
    version app 3 'sleep 1; exit 3'
    sed -i 's|"org.ocinit.image"|"org.ocinit.boot.stop-timeout": "100ms", "org.ocinit.image"|' "$image"/new/app-*/config.json
    mkdir -p "$image/data" && echo x >"$image/data/.keep"
    boot_json "$modules,$UPDATE_DATA"',"stable":"2s"'
    {
        echo "$UPDATE_WORDS"
        cat <<'END'
until grep -q " /data " /proc/mounts; do sleep 0.2; done
agrees() {
    wanted=0
    test ! -e /data/ocinit/bundles/app/current || wanted=$(sed -n 's/.*echo version \([0-9]*\);.*/\1/p' /data/ocinit/bundles/app/current/config.json)
    runs app $wanted
}
check "the old or the new runs, and the record says which" agrees
echo "version $wanted: $(/init bundle list app | tail -n 1 | tr -s ' ')"
cut=$(sed -n 's/.*cut=\([0-9.]*\).*/\1/p' /proc/cmdline)
if test -n "$cut"; then
    echo "the end"
    (sleep $cut; echo b >/proc/sysrq-trigger) &
    for number in $(seq 1 100); do
        /init bundle install app /new/app-$((number % 3 + 1)) && /init service restart app && sleep 3
    done
fi
END
    } | checks
    archive
    disk
    RANDOM=$seed
    for round in $(seq "$rounds"); do
        tenths=$((RANDOM % 90))
        boot 120 "quiet cut=$((tenths / 10)).$((tenths % 10))" "${DISK[@]}" && ended=0 || ended=$?
        if grep -q "^ok the old or the new" "$work/report" && [ "$ended" = 0 ]; then
            right "update_cuts: round $round: $(tr -d '\r' <"$work/report" | grep '^version' | tail -n 1); then a cut after $((tenths / 10)).$((tenths % 10)) s"
        else
            wrong "update_cuts: round $round has the old or the new (status $ended)"
            tail -n 5 "$work/report" "$work/console"
        fi
    done
    passes 120 "quiet" "${DISK[@]}"
    is "the file system is in order" e2fsck -fn "$work/disk"
}

scenario_flips() {
    # One bit of a signed bundle is another, of its image, its config.json or its signature, at seeded places: it never runs.
    local seed=${SEED:-20261124} tries modules
    need mksquashfs squashfs-tools
    need openssl openssl
    tries=$(count 30 1000)
    echo "flips: the seed is $seed"
    new_image flips
    modules=$(flash_modules loop squashfs)
    mkdir -p "$image/etc/ocinit/keys"
    openssl genpkey -algorithm ed25519 -out "$work/board.pem"
    openssl pkey -in "$work/board.pem" -pubout -outform DER | tail -c 32 >"$image/etc/ocinit/keys/board.pub"
    echo x >"$image/etc/ocinit/keys/required"
    version flip 1 true '{"org.ocinit.release":"flip:1"}'
    signed "$image/new/flip-1/config.json"
    boot_json "$modules"',"release":"boot:1"'
    {
        echo "tries=$tries seed=$seed"
        cat <<'END'
runs_once() { /init run -b /tmp/flip flip 2>/tmp/why | grep -q "^version 1"; }
cp -r /new/flip-1 /tmp/flip
check "as it is it runs" runs_once
refused=0 ran=0 number=$seed
for try in $(seq $tries); do
    set -- app.squashfs config.json config.json.sig
    shift $((try % 3))
    size=$(stat -c %s /new/flip-1/$1)
    # Park and Miller's numbers.
    number=$((number * 48271 % 2147483647)) && at=$((number % size))
    number=$((number * 48271 % 2147483647)) && bit=$((1 << number % 8))
    byte=$(dd if=/new/flip-1/$1 bs=1 skip=$at count=1 2>/dev/null | od -An -tu1)
    printf "\\$(printf %o $((byte ^ bit)))" | dd of=/tmp/flip/$1 bs=1 seek=$at count=1 conv=notrunc 2>/dev/null
    cmp -s /tmp/flip/$1 /new/flip-1/$1 && echo "not ok nothing was changed in $1 at $at"
    if runs_once; then ran=$((ran + 1)) && echo "not ok it runs with bit $bit of byte $at of $1 changed"; else refused=$((refused + 1)); fi
    cp /new/flip-1/$1 /tmp/flip/$1
done
check "with another bit it is refused, each of $tries times" test $refused = $tries -a $ran = 0
check "and as it is it runs" runs_once
END
    } | checks
    # What boots them is signed as well, once its words are those of this machine.
    name_ports
    signed "$image/etc/ocinit/boot.json"
    archive
    passes "$(count 150 1500)" "quiet"
}
