# bash completion for onggi; the program itself knows its options.
_onggi()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(onggi complete)" -- "$cur")
        return
    fi
    [ "${COMP_WORDS[1]}" = run ] || return
    case $prev in
    --kernel | --initrd | --disk | --config | --pidfile)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames
        return
        ;;
    --console)
        mapfile -t COMPREPLY < <(compgen -W "stdio pty none file=" -- "$cur")
        return
        ;;
    --tables | --boot | --log-level)
        local -A choices=([--tables]="auto acpi mptable"
            [--boot]="auto pvh linux64" [--log-level]="error warn info debug")
        mapfile -t COMPREPLY < <(compgen -W "${choices[$prev]}" -- "$cur")
        return
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$(onggi complete run)" -- "$cur")
}
complete -F _onggi onggi
