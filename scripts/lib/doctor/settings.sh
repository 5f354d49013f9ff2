# shellcheck shell=bash
# The files of this deployment, and whether Compose takes them.

# Prints the merged configuration as JSON; fails, and says why, when Compose does not take its files.
doctor_merged() { compose config --format json 2>"$TEMPORARY/merged.err"; }

doctor_settings() {
  local why
  if [[ ! -r .env ]]; then
    row settings bad "there is no .env in $ROOT" "scripts/compose init" 78
    return
  fi
  if [[ ! -s images.env ]]; then
    # Told by images; without it Compose takes nothing.
    row settings ok ".env is there"
  elif doctor_merged >/dev/null; then
    row settings ok "compose takes its files"
  else
    why=$(grep -v '^\s*$' "$TEMPORARY/merged.err" | tail -n 1 || true)
    row settings bad "compose does not take its files: ${why:-it gave no reason}" "scripts/compose config" 78
  fi
}
