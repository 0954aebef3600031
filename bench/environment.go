package main

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// environment describes the machine and the programs of a run.
type environment struct {
	Date     string            `json:"date"`
	Cores    int               `json:"cores"`
	Platform string            `json:"platform"`
	Versions map[string]string `json:"versions"`
	Settings map[string]string `json:"settings,omitempty"` // of PostgreSQL
}

// newEnvironment describes this machine, without servers.
func newEnvironment() environment {
	return environment{
		Date: time.Now().UTC().Format(time.DateOnly), Cores: runtime.NumCPU(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Versions: map[string]string{"Go": strings.TrimPrefix(runtime.Version(), "go")}, Settings: map[string]string{},
	}
}

// addModules adds the versions of the libraries that nawasync is compared with.
func (e *environment) addModules() {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	names := map[string]string{"github.com/riverqueue/river": "River", "github.com/hibiken/asynq": "asynq"}
	for _, module := range build.Deps {
		if name := names[module.Path]; name != "" {
			e.Versions[name] = strings.TrimPrefix(module.Version, "v")
		}
	}
}

// addPostgres adds the version of a PostgreSQL server, and its settings that matter most to the
// figures.
func (e *environment) addPostgres(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, name := range []string{"server_version", "synchronous_commit", "fsync", "shared_buffers"} {
		var value string
		if err := conn.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return err
		}
		if name == "server_version" {
			e.Versions["PostgreSQL"], _, _ = strings.Cut(value, " ") // "15.10 (Debian 15.10-0+deb12u1)"
			continue
		}
		e.Settings[name] = value
	}
	return nil
}

// addRedis adds the version of a Redis server.
func (e *environment) addRedis(ctx context.Context, addr string) error {
	client := redisClient(addr)
	defer func() { _ = client.Close() }()
	text, err := client.Info(ctx, "server").Result()
	e.Versions["Redis"] = parseInfo(text)["redis_version"]
	return err
}

// sentence describes the environment in one line, without a full stop.
func (e *environment) sentence() string {
	var versions, settings []string
	for _, name := range slices.Sorted(maps.Keys(e.Versions)) {
		versions = append(versions, name+" "+e.Versions[name])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Settings)) {
		settings = append(settings, "`"+name+"="+e.Settings[name]+"`")
	}
	text := fmt.Sprintf("Measured on %s, %d cores, %s, %s", e.Date, e.Cores, e.Platform, strings.Join(versions, ", "))
	if len(settings) > 0 {
		text += ", " + strings.Join(settings, ", ")
	}
	return text
}
