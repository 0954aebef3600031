# The targets are the steps of .ci/run, which is what has to pass: make lint, make test.
ROOT := $(dir $(lastword $(MAKEFILE_LIST)))
STEPS := $(shell sed -n 's/^steps="\(.*\)"$$/\1/p' $(ROOT).ci/run)

.PHONY: all generate screenshots $(STEPS)
all:
	$(ROOT).ci/run

$(STEPS):
	$(ROOT).ci/run $@

# What is generated: the pages' Go, and api/*.txt.
generate:
	cd $(ROOT) && go generate ./...

# The pictures of the README and the documents. Needs Chromium.
screenshots:
	cd $(ROOT)admin/browsertest && go run ./screenshots -o ../../docs/images
