#!/usr/bin/env bash
# Times `vsecure get`, as a whole process, beside `rage -d` of the same file, in one run; and a durable `vsecure update`.
# Needs: cargo, git, hyperfine, rage (cargo install rage), age. Usage: benches/get.sh [SECRETS] [RUNS]
set -euo pipefail
secrets=${1:-200} runs=${2:-200}
for tool in cargo git hyperfine rage age; do command -v "$tool" >/dev/null || { echo "$tool is needed" >&2; exit 1; }; done
cd "$(dirname "$0")/.."
cargo build --release --quiet
vsecure=$PWD/target/release/vsecure

work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
export HOME=$work/home XDG_CONFIG_HOME= XDG_STATE_HOME= GIT_CONFIG_NOSYSTEM=1
mkdir -p "$HOME" "$work/project"; cd "$work/project"
git config --global user.name Bench; git config --global user.email bench@example.com; git config --global init.defaultBranch main
git init -q; "$vsecure" -q init 2>/dev/null
head -c 60 /dev/urandom | base64 -w0 > "$work/value"
echo "# making $secrets secrets in $(((secrets + 199) / 200)) folders" >&2
for ((n = 0; n < secrets; n++)); do
    "$vsecure" -q create "production/folder$((n / 200))/SECRET_$n" --from-file "$work/value"
done

name=production/folder0/SECRET_0 key=$HOME/.config/vsecure/identity.txt
file=.vsecure/secrets/$name.age
cmp <("$vsecure" get "$name") <(rage -d -i "$key" "$file") && cmp <("$vsecure" get "$name") "$work/value"
echo "# $(uname -sm), $(nproc) cores; $("$vsecure" --version); $(rage --version); $(age --version); $(git --version)"
echo "# $secrets secrets, $(git rev-list --count HEAD) commits"
hyperfine -N --warmup 20 --runs "$runs" --style basic --export-csv "$work/read.csv" \
    -n "vsecure get" "$vsecure get $name" -n "rage -d" "rage -d -i $key $file" -n "age -d" "age -d -i $key $file" >/dev/null 2>&1
hyperfine --warmup 3 --runs "$((runs / 4))" --style basic --export-csv "$work/write.csv" \
    -n "vsecure update (durable)" "$vsecure -q update $name --generate" >/dev/null 2>&1
hyperfine -N --warmup 3 --runs "$((runs / 4))" --style basic --export-csv "$work/list.csv" \
    -n "vsecure list" "$vsecure list" -n "vsecure versions" "$vsecure versions $name" >/dev/null 2>&1
printf '%-28s %10s %10s\n' command 'median ms' 'min ms'
tail -q -n +2 "$work"/{read,write,list}.csv | awk -F, '{ printf "%-28s %10.2f %10.2f\n", $1, $4 * 1000, $7 * 1000 }'
awk -F, 'NR == 2 { ours = $4 } NR == 3 { printf "vsecure get / rage -d: %.2f\n", ours / $4 }' "$work/read.csv"
