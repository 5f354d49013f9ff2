# shellcheck shell=bash
# Who may do what at the gateway. One file, OUT/users, a line each: NAME ROLE HASH [PREFIX…]. The hash is crypt's, or - for a machine
# that shows a certificate; prefixes are the organisations or repositories that it sees, none means all. What the gateway reads is made
# of it, and of nothing else.

users_roles=(reader publisher promoter janitor)

# Prints a password: 192 random bits in letters that no file, URL or shell minds.
users_password() { head -c 24 /dev/urandom | base64 -w 0 | tr '+/' '-_'; }

# Fails unless a name, a role and prefixes are written as they must be.
users_check() { # name role prefix…
  local name=$1 role=$2 prefix
  shift 2
  [[ $name =~ ^[a-z0-9]+(-[a-z0-9]+)*$ && ${#name} -le 40 ]] || misuse "a user's name is of lower-case letters and digits with '-' between them, not '$name'"
  [[ " ${users_roles[*]} " == *" $role "* ]] || misuse "a role is one of ${users_roles[*]}, not '$role'"
  for prefix in "$@"; do
    [[ $prefix =~ ^[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*){0,2}$ ]] || misuse "a prefix is ORG, ORG/PROJECT or ORG/PROJECT/SERVICE, not '$prefix'"
  done
}

# Puts a user in the place of one of that name; nobody is added when there is no role.
users_put() { # name [role hash prefix…]
  local name=$1
  shift
  {
    [[ ! -e $OUT/users ]] || awk -v name="$name" '$1 != name' "$OUT/users"
    if (($#)); then printf '%s %s\n' "$name" "$*"; fi
  } >"$TEMPORARY/users"
  (umask 077 && sort "$TEMPORARY/users" >"$OUT/users.new") || fail 73 "$OUT/users cannot be written"
  mv "$OUT/users.new" "$OUT/users"
}

# Gives a user a new password, which goes into a file and nowhere else.
users_with_password() { # name role prefix…
  local name=$1 role=$2 hash
  shift 2
  (umask 077 && mkdir -p "$OUT/passwords" && users_password >"$OUT/passwords/$name.new") || fail 73 "$OUT/passwords cannot be written"
  hash=$(openssl passwd -5 -stdin <"$OUT/passwords/$name.new") || fail 69 "openssl cannot hash a password"
  mv "$OUT/passwords/$name.new" "$OUT/passwords/$name"
  users_put "$name" "$role" "$hash" "$@"
}

# Makes the users that a site begins with, unless there are any.
users_make() {
  local role
  if [[ -s $OUT/users ]]; then
    say "the users are there already"
    return
  fi
  for role in "${users_roles[@]}"; do users_with_password "$role" "$role"; done
  users_put machine reader -
  say "the users were made; their passwords are in $OUT/passwords: hand each over, and remove its file"
}

# Makes of the file what the gateway reads. Nothing of it changes unless every line is one.
users_render() {
  local line name role hash prefix prefixes seen=' ' work=$TEMPORARY/rendered
  [[ -s $OUT/users ]] || fail 66 "there is no $OUT/users: nobody may do anything"
  rm -rf "$work"
  mkdir "$work"
  echo 'userlist people' >"$work/users.cfg"
  : >"$work/roles.map"
  : >"$work/scopes.map"
  while IFS= read -r line; do
    read -ra prefixes <<<"$line"
    name=${prefixes[0]:-} role=${prefixes[1]:-} hash=${prefixes[2]:-} prefixes=("${prefixes[@]:3}")
    (users_check "$name" "$role" "${prefixes[@]}") 2>"$TEMPORARY/why" || fail 65 "$OUT/users is damaged at '$name': $(<"$TEMPORARY/why")"
    [[ $hash == - || $hash =~ ^\$[56]\$[A-Za-z0-9./\$=]+$ ]] || fail 65 "$OUT/users is damaged at '$name': its hash is none of crypt's"
    [[ $seen != *" $name "* ]] || fail 65 "$OUT/users has '$name' twice: leave one"
    seen+="$name "
    [[ $hash == - ]] || printf '  user %s password %s\n' "$name" "$hash" >>"$work/users.cfg"
    printf '%s %s\n' "$name" "$role" >>"$work/roles.map"
    ((${#prefixes[@]})) || printf '%s: seen\n' "$name" >>"$work/scopes.map"
    for prefix in "${prefixes[@]}"; do printf '%s:%s/ seen\n' "$name" "$prefix" >>"$work/scopes.map"; done
  done <"$OUT/users"
  for name in users.cfg roles.map scopes.map; do files_put "$OUT/gateway/$name" <"$work/$name"; done
}

# Makes what the registries behind ask of the gateway: a user of theirs that nobody else knows. They take bcrypt alone.
users_behind() {
  local name hash password
  if [[ -s $OUT/gateway/credentials.map ]]; then return 0; fi
  mkdir -p "$OUT/registry" "$OUT/mirror"
  : >"$TEMPORARY/credentials"
  for name in registry mirror; do
    password=$(users_password)
    # By standard input: it is in no list of processes. The hash may be cheap, what is hashed cannot be guessed.
    hash=$(printf '%s\n%s\n' "$password" "$(head -c 16 /dev/urandom | base64 -w 0 | tr '+=' './' | cut -c 1-22)" |
      perl -e 'chomp(my ($p, $s) = <STDIN>); print crypt($p, "\$2b\$04\$" . $s)') || fail 69 "perl cannot hash a password"
    [[ $hash == \$2b\$04\$* ]] || fail 69 "the C library of this machine knows no bcrypt: call this on another, and carry $OUT here"
    printf 'gateway:%s\n' "$hash" | files_put "$OUT/$name/htpasswd"
    printf '%s Basic %s\n' "$name" "$(printf 'gateway:%s' "$password" | base64 -w 0)" >>"$TEMPORARY/credentials"
  done
  files_put "$OUT/gateway/credentials.map" <"$TEMPORARY/credentials"
}
