# shellcheck shell=bash
# The first process of the emulated machine, once its root is in place; what
# tests/testbed/run puts before it sets directory, command and, for a terminal,
# settings. It must not return, or the kernel panics.

# shellcheck disable=SC2154  # directory, command, settings
control=/run/testbed

# Always leaves an exit code, then ends the emulator, which is told to exit
# where a machine would restart.
finish() {
    echo "$1" >$control/exit.new
    mv $control/exit.new $control/exit
    echo b >/proc/sysrq-trigger
    sleep 60
}

# The ports come some time after their driver. Sets the variable called $1 to
# the device that the pattern $2 matches.
find_device() {
    local tries device
    for ((tries = 0; tries < 600; tries++)); do
        for device in $2; do
            [ -c "$device" ] && printf -v "$1" %s "$device" && return
        done
        sleep 0.05
    done
    echo "testbed: $2 does not appear" >/dev/console
    finish 125
}

run_command() {
    cd "$directory" || exit 125
    exec "${command[@]}"
}

# Through pipes, because a port can be opened only once, while a command may
# well open its /dev/stderr again.
run_on_ports() {
    local code copiers=() tries out err
    find_device out '/dev/vport*p1'
    find_device err '/dev/vport*p2'
    mkfifo /run/out /run/err
    cat </run/out >"$out" 2>/dev/null &
    copiers+=($!)
    cat </run/err >"$err" 2>/dev/null &
    copiers+=($!)
    (run_command) </dev/null >/run/out 2>/run/err
    code=$?
    # What the command left running in the background may hold the pipes: the
    # rest of the output gets two seconds.
    for ((tries = 0; tries < 40; tries++)); do
        kill -0 "${copiers[@]}" 2>/dev/null || break
        sleep 0.05
    done
    finish $code
}

run_on_terminal() {
    local hvc
    find_device hvc /dev/hvc0
    # Held open: the last close would undo the settings.
    exec 3<>"$hvc"
    stty sane "${settings[@]}" <&3
    : >$control/terminal
    (run_command_on_terminal)
    finish $?
}

run_command_on_terminal() {
    cd "$directory" || exit 125
    exec setsid --ctty --wait "${command[@]}" <"$hvc" >"$hvc" 2>&1
}
