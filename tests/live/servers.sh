# Shared by `up` and `down`: the names of the servers, their folders, and their processes.
# shellcheck shell=bash

live=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
run=$live/run
all=(rabbitmq redis mariadb kafka rocketmq rotel)

# How many seconds a server may take to stop by itself.
STOP_LIMIT=20

is_server() {
    [[ " ${all[*]} " == *" $1 "* ]]
}

# Prints the start time of process $1, which distinguishes it from a later process with the same ID. Prints nothing if
# there is no such process, or only a zombie.
birth() {
    local stat
    if [ -d /proc/self ]; then
        { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
        # After the name, which may contain anything, the state is the first word, and the start time the 20th.
        read -ra stat <<<"${stat##*) }"
        case ${stat[0]} in Z | X) ;; *) echo "${stat[19]}" ;; esac
    else
        ps -o lstart= -p "$1" 2>/dev/null
    fi
}

# Notes the process $2 of a server in the file $1.
note() {
    printf '%s\n%s\n' "$2" "$(birth "$2")" >"$1"
}

# Prints the ID in a file of `note`, if this process is still alive.
noted() {
    local pid born
    { read -r pid && read -r born; } 2>/dev/null <"$1" || return 1
    [ -n "$born" ] && [ "$(birth "$pid")" = "$born" ] && echo "$pid"
}

# Prints the IDs of the processes of a server that are alive.
processes() {
    local file
    for file in "$run/$1"/*.pid; do
        [ -e "$file" ] && noted "$file"
    done
}

# Whether a server was ready, and all of its processes are alive.
is_running() {
    local file
    [ -e "$run/$1/ready" ] || return 1
    for file in "$run/$1"/*.pid; do
        noted "$file" >/dev/null || return 1
    done
}

# Stops a noted process: terminates it, waits, and kills it if it is still alive.
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
    echo "process $pid of $1 does not stop" >&2
    return 1
}

# Stops a server and removes its files, including its log. The processes are stopped in the reverse order of their
# names, because those that others need were started first.
stop() {
    local file files=() status=0
    for file in "$run/$1"/*.pid; do
        [ -e "$file" ] && files=("$file" "${files[@]}")
    done
    for file in "${files[@]}"; do
        stop_noted "$file" || status=1
    done
    [ $status -eq 0 ] || return
    # Its store may be in another folder.
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
    flock -w 600 9 || { echo "another tests/live/up or down is running" >&2; exit 1; }
}
