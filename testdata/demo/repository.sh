#!/bin/sh
# Makes a git repository of the sample project shop, as a team would have left it:
#
#	repository.sh DIR
#
# 60 commits (mostly edits of the source, some releases that touch package.json), and what nobody
# committed but every build sends: an .env with a key, and a video of 40 MB. The commits have the
# same ids on every machine.
set -eu

project=$(cd "$(dirname "$0")/../projects/shop" && pwd)
mkdir -p "$1"
cd "$1"

# Nothing of the user's own git configuration may reach these commits.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=Ada GIT_AUTHOR_EMAIL=ada@shop.example
export GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@shop.example

day=1750000000 # mid June 2025

# commit MESSAGE: everything, some hours after the commit before.
commit() {
	day=$((day + 26000))
	GIT_AUTHOR_DATE="$day +0000" GIT_COMMITTER_DATE="$day +0000" git commit -q -m "$1"
}

# version NUMBER: a release, which touches the manifests and nothing else. The project's own version
# stands at the head of both files.
version() {
	for file in package.json package-lock.json; do
		sed "1,10s/\"version\": \"1\.[0-9]*\.0\"/\"version\": \"$1\"/" "$project/$file" >"$file"
	done
}

# products N: a catalogue of N more products than the project has.
products() {
	sed '$d' "$project/src/products.json" | sed '$s/$/,/'
	n=0
	while [ $n -lt "$1" ]; do
		n=$((n + 1))
		comma=,
		[ $n -lt "$1" ] || comma=
		echo "  { \"id\": \"tea-$n\", \"name\": \"Tea no. $n\", \"cents\": $((300 + n * 7)) }$comma"
	done
	echo ']'
}

git init -q -b main .
cp -R "$project/." .
version 1.0.0
git add .
commit 'Sell tea'

i=1
while [ $i -lt 60 ]; do
	i=$((i + 1))
	case $i in
	13 | 27 | 41 | 55)
		version "1.$((i / 13)).0"
		message="Release 1.$((i / 13)).0"
		;;
	*6)
		echo "/* width no. $i */" >>web/public/style.css
		message='Move the list'
		;;
	*9)
		echo "// Checked with $i products." >>test/catalogue.test.js
		message='Test with the new products'
		;;
	*)
		products $i >src/products.json
		message="Add tea no. $i"
		;;
	esac
	git add -u
	commit "$message"
done

# The key is made up, and put together here so that nobody takes this file for the leak.
cat >.env <<EOF
PORT=3000
CURRENCY=EUR
STRIPE_SECRET_KEY=sk_live_$(printf %s 51Hq0ZrT4vB8 nXw2LsKd93yF)
EOF
mkdir assets
head -c 40000000 /dev/zero >assets/demo.mp4
