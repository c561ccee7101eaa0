#!/bin/sh
# Submit a task by curl, follow it to its end, then read what it printed.
set -eu
engine=${VENOM_ENGINE:-http://127.0.0.1:8000}
token=${VENOM_TOKEN:-$(venom-engine token)}

ask() {
    curl -sS --fail-with-body --no-buffer -H "Authorization: Bearer $token" "$@"
}

id=$(ask "$engine/api/v1/tasks" -d '{"content": "!for i in 1 2 3; do echo line $i; done"}' |
    sed 's/.*"task_id":"\([^"]*\)".*/\1/')
ask "$engine/api/v1/tasks/$id/stream"
ask "$engine/api/v1/tasks/$id/output"
echo
