# The targets are the steps of .ci/run, which is what has to pass: make lint, make test.
ROOT := $(dir $(lastword $(MAKEFILE_LIST)))
STEPS := $(shell sed -n 's/^steps="\(.*\)"$$/\1/p' $(ROOT).ci/run)

.PHONY: all generate $(STEPS)
all:
	$(ROOT).ci/run

$(STEPS):
	$(ROOT).ci/run $@

# What is generated: the pages' Go, and api/*.txt.
generate:
	cd $(ROOT) && go generate ./...
