/* What the process does around its VM: --name, --pidfile and the like. */
#include "base/log.h"
#include "vmm/config/section.h"

static const char *const log_levels[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
	NULL,
};

static const struct field options[] = {
	{ "name", FIELD_STRING, FIELD_AT(vm_config, name), .arg = "S",
	  .help = "process name that ps shows" },
	{ "no-reboot", FIELD_FLAG, FIELD_AT(vm_config, no_reboot),
	  .help = "end when the guest reboots, instead of starting it again" },
	{ "pidfile", FIELD_STRING, FIELD_AT(vm_config, pidfile),
	  .is_output = true, .arg = "FILE",
	  .help = "write the process id to FILE while the VM exists" },
	{ "stop-timeout", FIELD_UINT, FIELD_AT(vm_config, stop_timeout),
	  .preset = 10, .max = 86400, .arg = "SECONDS",
	  .help = "how long the guest may take to power off after SIGTERM "
		  "(10)" },
	{ "log-level", FIELD_CHOICE, FIELD_AT(vm_config, log_level),
	  .preset = LOG_WARN, .choices = log_levels,
	  .arg = "error|warn|info|debug",
	  .help = "least severe messages that go to stderr (warn)" },
	{ "timeline", FIELD_FLAG, FIELD_AT(vm_config, timeline),
	  .help = "print on stderr when each stage of the start was reached" },
	{ "dry-run", FIELD_FLAG, FIELD_AT(vm_config, dry_run),
	  .help = "print the complete command line and the memory map; start "
		  "nothing" },
	{ .name = NULL },
};

const struct config_section process_section = { options, NULL, NULL };
