#!/bin/sh
# Lays what the image was built with (dataset, model, item vectors) into the home folder, then becomes the command.
#
# A volume hides what the image has at its place, so the image keeps these pieces in a seed folder. A piece that the home
# already has is never touched; one that it lacks is copied beside and then renamed, so that a start that was killed
# leaves no half piece.
set -eu

home=${RALLREC_HOME:-/data}
seed=${SEED_FOLDER:-/opt/seed}

if ! mkdir -p "$home" 2>/dev/null || ! (: >"$home/.seed.lock") 2>/dev/null; then
  me=$(id -u):$(id -g)
  echo "$home cannot be written by $me, who runs in this container." >&2
  echo "Expected: a named volume, or a folder of that user. Run: docker run --user \"\$(id -u):\$(id -g)\" ..." >&2
  echo "with the folder's owner, or give the folder away: chown -R $me FOLDER" >&2
  exit 1
fi

(
  flock 9 # two containers may start on one volume
  rm -rf "$home/.seeding"
  for piece in "$seed"/*/*; do
    place=$home/${piece#"$seed"/}
    if [ -e "$piece" ] && [ ! -e "$place" ]; then
      echo "Copying ${piece#"$seed"/} into $home (once)" >&2
      mkdir -p "${place%/*}"
      cp -R "$piece" "$home/.seeding"
      mv "$home/.seeding" "$place"
    fi
  done
) 9>"$home/.seed.lock"

exec "$@"
