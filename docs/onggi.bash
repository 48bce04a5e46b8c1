# bash completion for onggi; the program itself knows its options.
_onggi_choose()
{
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_onggi()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word

    COMPREPLY=()
    # bash takes --kernel=FILE, and file=PATH, for three words
    if [ "$cur" = = ]; then
        cur=
    elif [ "$prev" = = ]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [ "$COMP_CWORD" -eq 1 ]; then
        _onggi_choose "$("${COMP_WORDS[0]}" complete 2>/dev/null)"
        return
    fi
    [ "${COMP_WORDS[1]}" = run ] || return
    for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
        # what follows is the guest's
        [ "$word" != -- ] || return
    done
    case $prev in
    --kernel | --initrd | --disk | --config | --pidfile | --vsock | file)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames
        ;;
    --console | --hvc)
        _onggi_choose "stdio pty none file="
        [ "${COMPREPLY[*]}" != file= ] || compopt -o nospace
        ;;
    --tables) _onggi_choose "auto acpi mptable" ;;
    --boot) _onggi_choose "auto pvh linux64" ;;
    --log-level) _onggi_choose "error warn info debug" ;;
    *) _onggi_choose "$("${COMP_WORDS[0]}" complete run 2>/dev/null)" ;;
    esac
}
complete -F _onggi onggi
