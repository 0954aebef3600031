package admin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// scheduleAction pauses, resumes or runs one schedule of a service.
func (p *request) scheduleAction(service string) error {
	name := p.r.PostFormValue("schedule")
	schedules, err := p.store().Schedules(p.r.Context())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(schedules, func(s tracker.Schedule) bool { return s.Name == name && s.Service == service })
	if i < 0 {
		return errNotFound
	}
	s := schedules[i]
	entry := tracker.AuditEntry{Action: p.r.PathValue("action"), Service: s.Service, Type: s.Type, Instance: s.Instance, Detail: "schedule " + name}
	do := map[string]func(context.Context, string) (flash, error){
		"pause_schedule": p.pauseSchedule, "resume_schedule": p.resumeSchedule, "run_schedule": p.runSchedule,
	}[entry.Action]
	if do == nil {
		return p.unknownAction()
	}
	return p.runAction(PermissionService, entry, func(ctx context.Context) (flash, error) { return do(ctx, name) })
}

func (p *request) pauseSchedule(ctx context.Context, name string) (flash, error) {
	o := p.pauseOptions()
	if o.Reason == "" {
		return flash{}, &refusedError{text: p.T("Enter a reason, so that others know why the schedule is paused.")}
	}
	err := p.h.engine.Internals(host.NewKey()).PauseSchedule(ctx, name, o)
	return flash{Text: p.Tf("Schedule %s is paused. Its ticks dispatch no job until the schedule is resumed.", name)}, err
}

func (p *request) resumeSchedule(ctx context.Context, name string) (flash, error) {
	found, err := p.h.engine.Internals(host.NewKey()).ResumeSchedule(ctx, name, p.operatorOptions())
	if err == nil && !found {
		err = &refusedError{p.Tf("Schedule %s is not paused.", name), true}
	}
	return flash{Text: p.Tf("Schedule %s has been resumed. The next tick dispatches a job.", name)}, err
}

func (p *request) runSchedule(ctx context.Context, name string) (flash, error) {
	engine := p.h.engine.Internals(host.NewKey())
	asked, served, err := engine.RunSchedule(ctx, name, p.operatorOptions())
	switch {
	case err != nil:
		return flash{}, err
	case !served:
		return flash{}, &refusedError{p.Tf("No running process registers schedule %s. Start one, then run the schedule.", name), true}
	case !asked:
		return flash{Text: p.Tf("A run of schedule %s is already requested.", name)}, nil
	}
	return flash{Text: p.Tf("A run of schedule %s is requested. A worker dispatches its job within %s.", name, format.Span(p, engine.ScheduleInterval()))}, nil
}

// pauseOptions returns the reason of a pause and when the pause ends.
func (p *request) pauseOptions() nawasync.PauseOptions {
	o := p.operatorOptions()
	options := nawasync.PauseOptions{By: o.By, Reason: o.Reason, Address: o.Address}
	if minutes, err := strconv.Atoi(p.r.PostFormValue("minutes")); err == nil && minutes > 0 {
		options.Until = p.now.Add(time.Duration(minutes) * time.Minute)
	}
	return options
}

// schedulePauseText says until when a schedule is paused, and by whom.
func (p *request) schedulePauseText(s tracker.Schedule) string {
	if s.PausedUntil.Equal(tracker.Forever) {
		return p.Tf("paused by %s until an operator resumes the schedule", s.PausedBy)
	}
	return p.Tf("paused by %s until %s", s.PausedBy, p.fullTime(s.PausedUntil))
}

// nextRun returns the next tick of a schedule that dispatches a job. It is the zero time if there is none.
func (p *request) nextRun(s tracker.Schedule) time.Time {
	if !s.Paused(p.now) {
		return alert.NextTick(s, p.now)
	}
	if s.PausedUntil.Equal(tracker.Forever) {
		return time.Time{}
	}
	return alert.NextTick(s, s.PausedUntil)
}

// lastRun returns when the last job of a schedule was dispatched.
func lastRun(s tracker.Schedule) time.Time {
	if s.LastRun.IsZero() {
		return s.LastTick
	}
	return s.LastRun
}

// specText returns the times of a schedule in words, or "" if they are not simple.
func (p *request) specText(spec string) string {
	if interval, ok := strings.CutPrefix(spec, "@every "); ok {
		if d, err := time.ParseDuration(interval); err == nil {
			return p.Tf("every %s", format.Span(p, d))
		}
		return ""
	}
	fields := strings.Fields(cronOf(spec))
	if len(fields) != 5 {
		return ""
	}
	if fields[4] == "*" && fields[3] == "*" && fields[2] == "*" {
		return p.dailyText(fields[0], fields[1])
	}
	minute, hour, ok := clockTime(fields[0], fields[1])
	if !ok || fields[3] != "*" {
		return ""
	}
	at := clockText(hour, minute)
	if day, ok := number(fields[4], 7); ok && fields[2] == "*" {
		return p.Tf("every %s at %s", p.weekday(time.Weekday(day%7)), at)
	}
	if day, ok := number(fields[2], 31); ok && fields[4] == "*" {
		return p.Tf("on day %d of each month at %s", day, at)
	}
	return ""
}

// dailyText returns the text for a schedule that is the same on each day.
func (p *request) dailyText(minutes, hours string) string {
	if minute, hour, ok := clockTime(minutes, hours); ok {
		return p.Tf("every day at %s", clockText(hour, minute))
	}
	if step, ok := strings.CutPrefix(minutes, "*/"); ok && hours == "*" {
		// An interval that does not divide an hour begins again in each hour.
		if n, ok := number(step, 59); ok && n > 0 && 60%n == 0 {
			return p.plural(int64(n), "every minute", "every %s minutes")
		}
		return ""
	}
	minute, ok := number(minutes, 59)
	switch {
	case minutes == "*" && hours == "*":
		return p.T("every minute")
	case ok && hours == "*":
		return p.Tf("every hour at minute %d", minute)
	}
	return ""
}

// cronOf returns the cron expression that a descriptor stands for.
func cronOf(spec string) string {
	switch spec {
	case "@hourly":
		return "0 * * * *"
	case "@daily", "@midnight":
		return "0 0 * * *"
	case "@weekly":
		return "0 0 * * 0"
	case "@monthly":
		return "0 0 1 * *"
	}
	return spec
}

// clockTime reads the minute and hour of a cron expression that has one time of day.
func clockTime(minutes, hours string) (minute, hour int, ok bool) {
	minute, okMinute := number(minutes, 59)
	hour, okHour := number(hours, 23)
	return minute, hour, okMinute && okHour
}

func clockText(hour, minute int) string {
	return time.Date(2000, 1, 1, hour, minute, 0, 0, time.UTC).Format("15:04")
}

// number reads a field of a cron expression that is one number up to most.
func number(field string, most int) (int, bool) {
	n, err := strconv.Atoi(field)
	return n, err == nil && n >= 0 && n <= most
}

// weekday returns the name of a day of the week.
func (p *request) weekday(day time.Weekday) string {
	switch day {
	case time.Monday:
		return p.T("Monday")
	case time.Tuesday:
		return p.T("Tuesday")
	case time.Wednesday:
		return p.T("Wednesday")
	case time.Thursday:
		return p.T("Thursday")
	case time.Friday:
		return p.T("Friday")
	case time.Saturday:
		return p.T("Saturday")
	}
	return p.T("Sunday")
}
