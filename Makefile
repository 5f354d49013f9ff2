.PHONY: run test build

run:
	@scripts/run

test:
	@scripts/test

build:
	@scripts/build-image
