# What `up` and `down` share: the names of the servers, their folders, and processes by their ids.
# shellcheck shell=bash

live=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
run=$live/run
all=(rabbitmq redis mariadb kafka rocketmq rotel)

# How long a server may take to end by itself.
STOP_LIMIT=20

is_server() {
    [[ " ${all[*]} " == *" $1 "* ]]
}

# What tells this process from a later one with the same id; nothing if there is none, or a dead one
# that has not been waited for.
birth() {
    local stat
    if [ -d /proc/self ]; then
        { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
        # Behind the name, which may hold anything: the state is the first word, the start the 20th.
        read -ra stat <<<"${stat##*) }"
        case ${stat[0]} in Z | X) ;; *) echo "${stat[19]}" ;; esac
    else
        ps -o lstart= -p "$1" 2>/dev/null
    fi
}

# Notes the process $2 of a server as $1, a file.
note() {
    printf '%s\n%s\n' "$2" "$(birth "$2")" >"$1"
}

# Gives the id in a file of `note`, if that very process still lives.
noted() {
    local pid born
    { read -r pid && read -r born; } 2>/dev/null <"$1" || return 1
    [ -n "$born" ] && [ "$(birth "$pid")" = "$born" ] && echo "$pid"
}

# The ids of the processes of a server that live.
processes() {
    local file
    for file in "$run/$1"/*.pid; do
        [ -e "$file" ] && noted "$file"
    done
}

# Whether each process of a server lives, and it has been ready.
is_running() {
    local file
    [ -e "$run/$1/ready" ] || return 1
    for file in "$run/$1"/*.pid; do
        noted "$file" >/dev/null || return 1
    done
}

# Ends a process that `note` knows: asks, waits, kills.
stop_noted() {
    local pid signal
    for signal in TERM KILL; do
        pid=$(noted "$1") || return 0
        kill "-$signal" "$pid" 2>/dev/null
        for ((i = 0; i < STOP_LIMIT * 10; i++)); do
            noted "$1" >/dev/null || return 0
            sleep 0.1
        done
    done
    echo "process $pid of $1 does not end" >&2
    return 1
}

# Ends a server and removes what it has written, its log too. In the order of names turned round:
# what others need was started first.
stop() {
    local file files=() status=0
    for file in "$run/$1"/*.pid; do
        [ -e "$file" ] && files=("$file" "${files[@]}")
    done
    for file in "${files[@]}"; do
        stop_noted "$file" || status=1
    done
    [ $status -eq 0 ] || return
    # A store may lie elsewhere.
    [ ! -s "$run/$1/elsewhere" ] || rm -rf "$(<"$run/$1/elsewhere")"
    rm -rf "${run:?}/$1"
}

# Writes the file that the tests read.
list_servers() {
    local name
    mkdir -p "$run"
    for name in "${all[@]}"; do
        is_running "$name" && cat "$run/$name/ready"
    done >"$run/servers.new"
    mv "$run/servers.new" "$run/servers"
}

# One `up` or `down` at a time.
lock() {
    mkdir -p "$run" || exit 1
    command -v flock >/dev/null || return 0
    exec 9>"$run/lock"
    flock -w 600 9 || { echo "another tests/live/up or down is at work" >&2; exit 1; }
}
