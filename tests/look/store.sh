#!/usr/bin/env bash
# A store with something of everything that a report shows, and its report: store.sh FOLDER [VSECURE]. Needs faketime, for values of all ages.
set -euo pipefail
folder=$1
vsecure=$(realpath "${2:-target/debug/vsecure}")
today=$(date -u +%F)
mkdir -p "$folder/home" "$folder/project"
folder=$(realpath "$folder")
cd "$folder/project"
export HOME=$folder/home GIT_CONFIG_NOSYSTEM=1
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_RUNTIME_DIR
git config --global user.name alice
git config --global user.email alice@example.com
git init -q -b main

# days DAYS COMMAND…: runs vsecure so many days before today, or after it.
days() { faketime "$(date -u -d "$today $1 days" +%F) 10:00:00" "$vsecure" -q "${@:2}"; }
add() { days "$1" create "$2" "value of $2" "${@:3}"; }
join() {
    local key=$folder/home/$1.key
    days -900 keys:generate --output "$key" >/dev/null
    "$vsecure" -q --identity "$key" members:request --name "$1" --email "$1@example.com" >"$folder/request"
    days "$3" members:add "$folder/request" --roles "$2" --yes
}

days -905 init
add -900 production/DATABASE_URL --metadata owner=backend-team
add -898 production/payments/STRIPE_KEY --metadata owner=payments@example.com
add -800 production/payments/STRIPE_WEBHOOK_SECRET --metadata owner=payments@example.com
add -660 production/user-api/SESSION_KEY --metadata owner=identity-team
add -560 production/user-api/SMTP_PASSWORD --metadata owner=identity-team
add -360 production/user-api/OAUTH_CLIENT_SECRET --expires-in 365d --metadata owner=identity-team
add -320 production/SENTRY_DSN --expires-in 366d
add -270 production/TLS_CERTIFICATE_KEY --expires-in 292d --metadata owner=sre@example.com
add -240 production/REDIS_URL --expires-in 365d
add -200 production/payments/ADYEN_KEY --expires-in 176d --metadata owner=payments@example.com
add -160 production/AWS_BACKUP_KEY --expires-in 185d
add -65 production/GITHUB_TOKEN --expires-in 90d
add -35 production/NPM_TOKEN --expires-in 90d
for name in DATABASE_URL REDIS_URL SENTRY_DSN STRIPE_KEY SMTP_PASSWORD SESSION_KEY; do add -470 staging/$name; done
for name in DATABASE_URL REDIS_URL; do add -290 development/$name; done
add -100 production/user-api/JWT_KEY --rotate-every 90d --notify-before 14d --metadata owner=identity-team
add -80 production/QUEUE_PASSWORD --rotate-every 90d --notify-before 14d
add -10 staging/user-api/JWT_KEY --rotate-every 90d
add -145 staging/GITHUB_TOKEN --expires-in 365d
cat >"$folder/rules.json" <<RULES
{"secrets": {
  "production/*": {"read": ["admins", "engineers", "devops"], "write": ["admins", "devops"], "delete": ["admins"]},
  "production/payments/*": {"read": ["admins", "payments", "devops"], "write": ["admins", "payments"], "delete": ["admins"], "max_grant": "2d", "on_expired": "refuse"},
  "staging/*": {"read": ["admins", "engineers", "devops", "deployers"], "write": ["admins", "engineers", "devops"], "delete": ["admins", "devops"]},
  "development/**": {"read": ["admins", "engineers", "devops", "qa"], "write": ["admins", "engineers", "devops", "qa"], "delete": ["admins", "engineers"]}}}
RULES
days -890 policy:apply "$folder/rules.json" --yes
join bob devops -889
join carol engineers,payments -889
join dave engineers -860
join erin engineers -860
join frank payments -830
join grace qa -830
join heidi admins -829
days -810 members:add-machine deploy --roles deployers --yes >/dev/null
days -55 members:remove dave --yes
days -53 access:acknowledge production/SENTRY_DSN --reason "a DSN is no credential by itself" --until "$(date -u -d "$today 95 days" +%F)"
days -52 update production/DATABASE_URL "another value"
days -1 grant-access production/payments/STRIPE_KEY --user erin@example.com --duration 2d --reason "incident 7: refunds"
days -5 grant-access production/user-api/SMTP_PASSWORD --user grace --duration 3d --reason "load test"
days -1 grant-access production/AWS_BACKUP_KEY --ephemeral --user contractor@example.org --duration 14d >/dev/null
# A rotation whose hook did not get to its end.
mkdir ops
cat >ops/rotate <<'HOOK'
#!/bin/sh
grep -q '"step":"create"' && echo '{"value": "next"}'
HOOK
git add ops
git commit -q -m "A hook"
days -3 trust:hook ops/rotate
days -3 rotation:set production/payments/ADYEN_KEY --period 180d --hook ops/rotate
days -3 rotation:run production/payments/ADYEN_KEY 2>/dev/null || true
# What verify finds: a file that is none of a store's, a value that nobody signed for, and a sidecar that an editor changed.
echo "old notes" >.vsecure/NOTES.txt
cp .vsecure/secrets/staging/REDIS_URL.age .vsecure/secrets/staging/REDIS_COPY.age
echo >>.vsecure/secrets/staging/SESSION_KEY.yaml
"$vsecure" -q report --html "$folder/report.html" --force
echo "$folder/report.html"
