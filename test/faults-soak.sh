#!/usr/bin/env bash
# faults-soak.sh - a short soak: everything breaks at random while lines flow.
exec "$(dirname "$0")/soak" "${SOAK_MINUTES:-1}" "${SOAK_SEED:-$((EPOCHSECONDS % 100000))}"
