#!/usr/bin/env bash
# Measures the budgets that concern the store, each beside its named peer in one run, and prints a table; ends with 1 if one is missed.
# Whole processes, medians; commands that are compared run in turns, so that what else the machine does falls on all of them alike.
#
#   benches/run.sh [BUDGET...]     all, or those named: get-one get-many get-policy write-folders write-flat write-files rekey programs list versions
#   BENCH_DIR=DIR                  keeps the stores there, and uses those that it finds; without it they are made and removed (1.5 GB)
#   BENCH_RUNS=N                   how often each quick command is run; 50 by default
#   PASSAGE=FILE                   passage's src/password-store.sh (https://github.com/FiloSottile/passage), if `passage` is not on the path
#
# Needs cargo, git, age, rage (cargo install rage) and passage.
set -euo pipefail
cd "$(dirname "$0")/.."
passage=${PASSAGE:-$(command -v passage || true)}
for tool in cargo git age rage; do command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 2; }; done
[[ -x $passage ]] || { echo "passage is needed: PASSAGE=FILE names its password-store.sh" >&2; exit 2; }
cargo build --release --quiet --package vsecure --package vsecure-bench
vsecure=$PWD/target/release/vsecure bench=$PWD/target/release/vsecure-bench
runs=${BENCH_RUNS:-50}
dir=${BENCH_DIR:-$(mktemp -d)}
[[ -n ${BENCH_DIR:-} ]] || trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir"; dir=$(realpath "$dir")
export GIT_CONFIG_NOSYSTEM=1 XDG_CONFIG_HOME= XDG_STATE_HOME=
missed=0

# store NAME OPTION...: makes the store, if it isn't there, and works in it from now on
store() {
    local name=$1; shift
    if [[ ! -d $dir/$name ]]; then
        echo "# making the store $name: $*" >&2
        "$bench" build "$dir/$name" "$@" || { rm -rf "${dir:?}/$name"; exit 1; }
    fi
    export HOME=$dir/$name/home; cd "$dir/$name/project"
    key=$HOME/.config/vsecure/identity.txt
}

# peer NAME: the same age files in a store of passage, beside the store NAME
peer() {
    export PASSAGE_DIR=$dir/$1/passage PASSAGE_IDENTITIES_FILE=$key
    [[ -d $PASSAGE_DIR ]] && return
    mkdir "$PASSAGE_DIR"
    (cd .vsecure/secrets && find . -name '*.age' -print0 | xargs -0 cp --parents -t "$PASSAGE_DIR")
    sed -n 's/.*recipient: "\(age1[a-z0-9]*\)"/\1/p' .vsecure/policy/000001.yaml > "$PASSAGE_DIR/.age-recipients"
    git -C "$PASSAGE_DIR" init -q; git -C "$PASSAGE_DIR" add -A; git -C "$PASSAGE_DIR" commit -q -m Begin
    cat > "$dir/$1/insert" <<END
#!/bin/bash
echo "\$RANDOM\$RANDOM\$RANDOM" | '$passage' insert -m -f "\$1"
END
    chmod +x "$dir/$1/insert"
}

# measure OPTION... COMMAND...: sets t to median and least of each, in milliseconds
measure() { mapfile -t t < <("$bench" time "$@" | tr ' ' '\n'); }

# row WHAT LIMIT [OURS LEAST [PEER LEAST]]: of t, where nothing is given. Without a peer the limit is in milliseconds, else a multiple of it.
# Medians decide; the least times show what a busy machine hides.
row() {
    local what=$1 limit=$2; shift 2
    (($#)) || set -- "${t[@]}"
    awk -v what="$what" -v limit="$limit" -v ours="$1" -v our_least="$2" -v peer="${3:-}" -v peer_least="${4:-}" 'BEGIN {
        measured = peer == "" ? ours : ours / peer
        least = peer == "" ? our_least : our_least / peer_least
        printf "%-62s %9.2f %9s %9.3f %9.3f %8.3f  %s\n", what, ours, peer == "" ? "-" : sprintf("%.2f", peer), measured, least, limit, measured <= limit ? "met" : "MISSED"
        exit measured > limit }' || missed=1
}

many=(--secrets 10000 --folders 50 --readers 20 --versions 10 --commits 100000 --batch 10)
of_many=production/folder0/SECRET_0

get() {
    local file=.vsecure/secrets/$2.age
    cmp <("$vsecure" get "$2") <(rage -d -i "$key" "$file")
    measure --runs "$((4 * runs))" --warmup 10 "$vsecure get $2" "rage -d -i $key $file"
    row "$1 / rage -d" 1.5
}
get-one() { store one; get "get: 1 secret, 1 reader" production/SECRET_0; }
get-policy() {
    store policy --secrets 1000 --batch 1000 --readers 20 --epochs 20 --accepted 1000
    get "get: 20 members, 20 epochs, 1 000 accepted, 20 readers" production/SECRET_0
}
get-many() { store many "${many[@]}"; get "get: 10 000 secrets, 100 000 commits, 20 readers" $of_many; }

insert() {
    measure --runs "$runs" "$vsecure update $3 --generate -q" "$dir/$2/insert $3"
    row "$1 / passage insert" "$4"
    measure --runs "$((runs / 2))" --before "$vsecure -q delete $3x || true" --before "rm -f $PASSAGE_DIR/$3x.age" \
        "$vsecure set $3x --generate -q" "$dir/$2/insert $3x"
    row "create: ${1#update: } / passage insert" "$4"
}
write-folders() { store folders --secrets 10000 --folders 50 --batch 200; peer folders; insert "update: 10 000 in 50 folders" folders $of_many 0.2; }
write-flat() { store flat --secrets 10000 --batch 10000; peer flat; insert "update: 10 000 in one folder" flat production/SECRET_0 1; }

write-files() {
    store files --secrets 10000 --folders 50 --batch 10000 --files 200000
    cat > "$dir/files/commit" <<'END'
#!/bin/sh
git add code/module1/file200.txt code/module1/file201.txt && git commit -q -m Change
END
    chmod +x "$dir/files/commit"
    local fresh='head -c 1200 /dev/urandom > code/module1/file200.txt; head -c 400 /dev/urandom > code/module1/file201.txt'
    measure --runs "$((runs / 4))" --before '' --before "$fresh" "$vsecure update $of_many --generate -q" "$dir/files/commit"
    row "update: among 200 000 files / git add + git commit" 0.5
}

rekey() {
    # An old one is removed at the end: ext4 without a journal looks for an inode past each that was removed in the last minute.
    [[ ! -d $dir/rekey ]] || mv "$dir/rekey" "$dir/old.$$"
    store rekey --secrets 1000 --folders 10 --batch 1000 --newcomers 1; peer rekey
    local ours start
    # What making the store has left to be written is not ours to wait for.
    sync
    ours=$("$bench" rekey "$dir/rekey" 1000)
    start=$(date +%s%N); "$passage" reencrypt >/dev/null; local theirs=$((($(date +%s%N) - start) / 1000))
    theirs=$(awk -v us="$theirs" 'BEGIN { print us / 1000 }')
    row "re-encrypt 1 000 secrets / passage reencrypt" 0.05 "$ours" "$ours" "$theirs" "$theirs"
}

# What `exec` adds to its child; and `scan`, which looks for each value in about ten disguises, beside git looking for the values as they are. For that there is no
# promise: the limit only tells when it becomes another order of work.
programs() {
    store programs --secrets 100 --readers 20 --batch 100 --files 2000
    measure --runs "$runs" "$vsecure exec --env production -- true" "env true"
    row "exec: 100 secrets of 20 readers, over the child's time (ms)" 15 \
        "$(awk -v all="${t[0]}" -v child="${t[2]}" 'BEGIN { print all - child }')" "$(awk -v all="${t[1]}" -v child="${t[3]}" 'BEGIN { print all - child }')"
    (umask 077; "$vsecure" export --env production --format docker-env | cut -d= -f2- > "$dir/programs/values")
    cat > "$dir/programs/grep" <<END
#!/bin/sh
git grep -q -F -f '$dir/programs/values'; [ \$? = 1 ]
END
    chmod +x "$dir/programs/grep"
    measure --runs "$((runs / 2))" "$vsecure scan" "$dir/programs/grep"
    row "scan: 100 values in their disguises / git grep -F -f" 5
    rm "$dir/programs/values"
}

list() {
    store many "${many[@]}"
    "$vsecure" list >/dev/null
    measure --runs "$runs" "$vsecure list --tags api"
    row "list --tags over 10 000, warm (ms)" 100
    measure --runs "$((runs / 4))" --before 'rm -f .git/vsecure/list-*' "$vsecure list --tags api"
    row "list --tags over 10 000, cold (ms)" 600
}

versions() {
    store many "${many[@]}"
    measure --runs "$runs" "$vsecure versions $of_many"
    row "versions in 100 000 commits, warm (ms)" 10
    local with
    for with in without with; do
        rm -rf .git/objects/info/commit-graph*
        [[ $with == without ]] || git commit-graph write --reachable --changed-paths 2>/dev/null
        measure --runs "$((runs / 5))" --before 'rm -f .git/vsecure/history-*' --before '' \
            "$vsecure versions $of_many" "git log --oneline -- .vsecure/secrets/$of_many.yaml"
        row "versions, cold, $with a commit-graph / git log -- PATH" 2
    done
    rm -rf .git/objects/info/commit-graph*
}

echo "# $(uname -srm), $(nproc) cores, $(df --output=fstype "$dir" | tail -1); load $(cut -d' ' -f1 /proc/loadavg)"
echo "# $("$vsecure" --version); $(rage --version); age $(age --version); passage; $(git --version)"
printf '%-62s %9s %9s %9s %9s %8s\n' budget 'ours ms' 'peer ms' measured 'of least' 'at most'
for budget in "${@:-get-one get-many get-policy write-folders write-flat write-files rekey programs list versions}"; do
    for one in $budget; do "$one"; done
done
rm -rf "$dir/old.$$"
exit "$missed"
