# The targets are the steps of .ci/run, which is what has to pass: make lint, make test.
STEPS := $(shell sed -n 's/^steps="\(.*\)"$$/\1/p' .ci/run)

.PHONY: all generate $(STEPS)
all:
	.ci/run

$(STEPS):
	.ci/run $@

# What is generated: the pages' Go, and api/*.txt.
generate:
	go generate ./...
