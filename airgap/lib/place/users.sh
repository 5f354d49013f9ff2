# shellcheck shell=bash
# Who may do what at the gateway. One file, OUT/users, a line each: NAME ROLE HASH [PREFIX…]. The hash is
#   sha256:HEX          of a password that was made here: nobody guesses 192 random bits, however fast a guess is
#   $5$… or $6$…        crypt's, of a password that somebody chose and wrote in here
#   -                   none: a machine that shows a certificate
# and prefixes are the organisations or repositories that it sees, none means all. What the gateway reads is made of it, and of nothing else.

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

# Gives a user a new password, which goes into a file and nowhere else. Clients send it with every request: a slow hash of it would cost
# the gateway more than the request, and protect nothing.
users_with_password() { # name role prefix…
  local name=$1 role=$2 hash
  shift 2
  (umask 077 && mkdir -p "$OUT/passwords" && users_password >"$OUT/passwords/$name.new") || fail 73 "$OUT/passwords cannot be written"
  hash=$(sha256sum <"$OUT/passwords/$name.new")
  hash=sha256:${hash%% *}
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

# Fails unless a hash is one of the kinds above, and crypt's not made cheaper than crypt makes it by itself.
users_hash_check() { # hash
  local rounds=5000
  [[ $1 == - || $1 =~ ^sha256:[0-9a-f]{64}$ || $1 =~ ^\$[56]\$(rounds=[1-9][0-9]{0,8}\$)?[A-Za-z0-9./]+\$[A-Za-z0-9./]+$ ]] || misuse "its hash is neither ours nor crypt's"
  if [[ $1 =~ rounds=([0-9]+) ]]; then rounds=${BASH_REMATCH[1]}; fi
  ((rounds >= 5000)) || misuse "its hash is too cheap for a password that somebody chose: leave rounds= away, or take 5000 and more"
}

# Makes of the file what the gateway reads, and puts the rules beside it that go with it. Nothing changes unless every line is one.
users_render() {
  local line name role hash prefix prefixes seen=' ' work=$TEMPORARY/rendered
  [[ -s $OUT/users ]] || fail 66 "there is no $OUT/users: nobody may do anything"
  rm -rf "$work"
  mkdir "$work"
  echo 'userlist people' >"$work/users.cfg"
  : >"$work/passwords.map"
  : >"$work/roles.map"
  : >"$work/scopes.map"
  while IFS= read -r line; do
    read -ra prefixes <<<"$line"
    name=${prefixes[0]:-} role=${prefixes[1]:-} hash=${prefixes[2]:-} prefixes=("${prefixes[@]:3}")
    (users_check "$name" "$role" "${prefixes[@]}" && users_hash_check "$hash") 2>"$TEMPORARY/why" ||
      fail 65 "$OUT/users is damaged at '$name': $(<"$TEMPORARY/why")"
    [[ $seen != *" $name "* ]] || fail 65 "$OUT/users has '$name' twice: leave one"
    seen+="$name "
    case $hash in
      -) ;;
      sha256:*) printf '%s:%s random\n' "$name" "$(tr a-f A-F <<<"${hash#sha256:}")" >>"$work/passwords.map" ;;
      *) printf '  user %s password %s\n' "$name" "$hash" >>"$work/users.cfg" ;;
    esac
    printf '%s %s\n' "$name" "$role" >>"$work/roles.map"
    ((${#prefixes[@]})) || printf '%s: seen\n' "$name" >>"$work/scopes.map"
    for prefix in "${prefixes[@]}"; do printf '%s:%s/ seen\n' "$name" "$prefix" >>"$work/scopes.map"; done
  done <"$OUT/users"
  for name in users.cfg passwords.map roles.map scopes.map; do files_put "$OUT/gateway/$name" <"$work/$name"; done
  files_put "$OUT/gateway/haproxy.cfg" <"$ROOT/airgap/gateway/haproxy.cfg"
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
