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
