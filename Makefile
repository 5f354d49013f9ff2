.PHONY: run dev up down logs build test

run:
	@scripts/run

dev:
	@scripts/compose dev

up:
	@scripts/compose up

down:
	@scripts/compose down

logs:
	@scripts/compose logs --follow --tail=200

build:
	@scripts/build-image

test:
	@scripts/test
