module github.com/nawasara/nawasync/ci/freeport

go 1.26.0
