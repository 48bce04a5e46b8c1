#!/bin/sh
# Runs commands that the host gives on standard input. A terminal echoes
# nothing, so that what comes back is the commands' output alone.
stty -echo 2>/dev/null
echo '<ready>'
while read -r command; do
    eval "$command"
    echo "<done $?>"
done
