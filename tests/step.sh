# shellcheck shell=bash
# Runs what tests/check is made of: steps one after another, and jobs beside
# each other. Each runs in a process group of its own and writes a log; a signal
# ends all of them, with whatever they have started. Whoever sources this file
# may set the variables of the first paragraph afterwards.

out=build/check # the folder of logs
silence=60      # seconds without a line until running commands are named
grace=5         # seconds that a stopped command has to clean up
slots=$(nproc)  # how many jobs run beside each other
[ "$slots" -le 4 ] || slots=4 # a testbed takes 4 GiB

passed=0
failed=0

# By the number of the command: what runs, and how it is reported.
begun=0
running=() # process groups
names=()
reports=()
starts=()
declare -A commands=() # by name

# A command that has ended writes a line into this pipe.
fifo=$(mktemp -u) || exit
mkfifo "$fifo" || exit
exec {ended}<>"$fifo"
rm "$fifo"

log_of() { # NAME
    echo "$out/${1//[ \/]/-}.log"
}

# step NAME COMMAND...: one thing that passes or fails. Waits for its end.
step() {
    announce "$1"
    begin report_step "$@"
    local number=$begun status
    while [ -n "${running[$number]:-}" ]; do
        collect
        status=$?
    done
    return "$status"
}

# job REPORT NAME COMMAND...: a command that runs beside others, as soon as
# there is room. REPORT STATUS SECONDS NAME is called when it has ended.
job() {
    wait_for_room
    begin "$@"
}

# The same for a job of minutes, whose begin is worth a line.
long_job() {
    wait_for_room
    announce "$2"
    begin "$@"
}

# Waits for all jobs to end.
finish_jobs() {
    while [ ${#running[@]} -gt 0 ]; do
        collect
    done
}

wait_for_room() {
    while [ ${#running[@]} -ge "$slots" ]; do
        collect
    done
}

announce() { # NAME
    printf '..    %s (%s)\n' "$1" "$(log_of "$1")"
}

begin() { # REPORT NAME COMMAND...
    local number=$((begun += 1))
    commands[$2]=${*:3}
    names[number]=$2
    reports[number]=$1
    starts[number]=$SECONDS
    set -m # makes the process group
    {
        trap : HUP INT TERM # it ends with its command, for stop()
        "${@:3}" >"$(log_of "$2")" 2>&1 </dev/null
        echo "$number $?" >&"$ended"
    } &
    set +m
    running[number]=$!
}

# Waits for one of the running commands to end, and reports it.
collect() {
    local number status
    until read -rt "$silence" -u "$ended" number status; do
        tell_progress
    done
    wait "${running[number]}"
    unset "running[number]"
    "${reports[number]}" "$status" $((SECONDS - starts[number])) \
        "${names[number]}"
}

# A line for each running command: how long it has run, and what its log says.
tell_progress() {
    local number log
    for number in "${!running[@]}"; do
        log=$(log_of "${names[number]}")
        printf '..    %s (%s s): %s\n' "${names[number]}" \
            $((SECONDS - starts[number])) \
            "$(tail -qn 1 "$log" 2>/dev/null | tr -cd '[:print:]' | cut -c -60)"
    done
}

report_step() { # STATUS SECONDS NAME
    local log
    log=$(log_of "$3")
    if [ "$1" -eq 0 ]; then
        printf 'ok    %s (%s s)\n' "$3" "$2"
        passed=$((passed + 1))
        return 0
    fi
    printf 'FAIL  %s (%s): %s\n' "$3" "$log" "${commands[$3]}"
    tail -n 30 "$log" | sed 's/^/      /'
    failed=$((failed + 1))
    return 1
}

# Ends all commands and this script. bash lists a command, by its process group,
# as soon as that has begun, which is earlier than begin() can note it.
stop() { # EXIT-CODE
    local groups tries
    trap '' HUP INT TERM
    read -rd '' -a groups < <(jobs -p)
    if [ ${#groups[@]} -gt 0 ]; then
        kill -- "${groups[@]/#/-}"
        for ((tries = 0; tries < grace * 10; tries++)); do
            kill -0 "${groups[@]}" || break
            sleep 0.1
        done
        kill -KILL -- "${groups[@]/#/-}"
        wait
    fi 2>/dev/null
    echo "tests/check: stopped" >&2
    exit "$1"
}
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM
