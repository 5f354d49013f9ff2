# shellcheck shell=bash
# The files of the secrets: there, long, random, and nobody else's to read.

# True for what templates and tutorials have in the place of a secret, and for one text over and over; as the service judges.
secret_is_placeholder() { # secret
  local secret=${1,,} word
  local -i period
  secret=${secret#"${secret%%[![:space:]]*}"}
  for word in change-me changeme change_me secret password supersecret super-secret super_secret placeholder replace-me \
    replaceme replace_me your-secret your_secret yoursecret my-secret my_secret mysecret jwt-secret jwt_secret; do
    if [[ $secret == "$word"* ]]; then return 0; fi
  done
  for ((period = 1; period <= ${#1} / 2; period++)); do
    if [[ ${1:0:${#1}-period} == "${1:period}" ]]; then return 0; fi
  done
  return 1
}

# Looks at one file; prints nothing when it is good, else what is wrong, the next command and the code, apart by tabs.
secret_fault() { # folder name least
  local file=$1/$2 secret
  if [[ ! -e $file ]]; then
    printf '%s is missing\tscripts/secrets init\t78\n' "$file"
  elif [[ ! -r $file ]]; then
    printf '%s cannot be read by %s\tsudo scripts/doctor, or chown it\t78\n' "$file" "$(id -un)"
  else
    while IFS= read -r secret || [[ $secret ]]; do
      [[ $2 != jwt_previous_secrets ]] || secret=${secret#HS[0-9][0-9][0-9]:}
      if secret_is_placeholder "$secret"; then
        printf '%s holds a placeholder, which anybody can guess\trm %s && scripts/secrets init\t65\n' "$file" "$file"
        return
      fi
      if ((${#secret} < $3)); then
        printf '%s has %d characters, and %d are wanted\trm %s && scripts/secrets init\t78\n' "$file" "${#secret}" "$3" "$file"
        return
      fi
    done <"$file"
    [[ -s $file ]] || printf '%s is empty\trm %s && scripts/secrets init\t78\n' "$file" "$file"
  fi
}

# Says who else could read them: the folder keeps others out, since containers read the files as users of their own.
secrets_rights() { # folder
  local mode file
  mode=$(stat -L -c %a "$1")
  if ((0$mode & 077)); then
    row secrets-rights bad "$1 is open to others (mode $mode), and so are the secrets in it" "chmod 0700 $1" 78
    return
  fi
  for file in "$1"/db_password "$1"/jwt_secret "$1"/jwt_previous_secrets; do
    [[ -e $file ]] || continue
    mode=$(stat -L -c %a "$file")
    if ((! (0$mode & 04))); then
      row secrets-rights bad "containers cannot read $file (mode $mode): they have users of their own" "chmod 0444 $file" 78
      return
    fi
  done
  row secrets-rights ok "nobody else can enter $1"
}

# Says whether version control knows them.
secrets_tracked() { # folder
  local file
  command -v git >/dev/null && git -C "$1" rev-parse --is-inside-work-tree >/dev/null 2>&1 || return 0
  file=$(git -C "$1" ls-files -- . | head -n 1)
  if [[ $file ]]; then
    row secrets-git bad "git tracks $1/$file: whoever has the repository has the secret" \
      "git rm --cached $1/$file && scripts/secrets rotate jwt && scripts/secrets rotate db" 65
  elif ! git -C "$1" check-ignore --quiet "$1/db_password"; then
    row secrets-git warning "git does not ignore $1: the next 'git add' takes the secrets" "echo '/${1##*/}/' >>.gitignore"
  else
    row secrets-git ok "git ignores $1"
  fi
}

doctor_secrets() {
  local folder fault found next code name least faults=0
  folder=$(compose_secrets)
  if [[ ! -d $folder ]]; then
    row secrets bad "there is no folder $folder" "scripts/secrets init" 78
    return
  fi
  while read -r name least; do
    fault=$(secret_fault "$folder" "$name" "$least")
    [[ $fault ]] || continue
    IFS=$'\t' read -r found next code <<<"$fault"
    row secrets bad "$found" "$next" "$code"
    faults=$((faults + 1))
  done <<<$'db_password 16\njwt_secret 32\njwt_previous_secrets 32'
  ((faults)) || row secrets ok "all three are in $folder"
  secrets_rights "$folder"
  secrets_tracked "$folder"
}
