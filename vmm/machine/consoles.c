#include "vmm/machine/consoles.h"

#include "devices/console/virtio_console.h"
#include "vmm/machine/kinds/kinds.h"

static void add_file(struct own_files *files, const char *path, const char *use)
{
	struct own_file file = { .use = use };
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return;
	file.id = file_id_of(&st);
	own_files_add(files, &file);
}

struct console *console_open_once(const char *name,
				  const struct config_console *config,
				  struct own_files *files,
				  struct timeline *timeline, struct error *err)
{
	struct console *console;

	if (config->file && own_files_refuse(files, config->file, err)) {
		error_wrap(err, "%s", name);
		return NULL;
	}
	console = console_open(name, config, timeline, err);
	if (console && config->file)
		add_file(files, config->file, "the console");
	return console;
}

static void on_quit(void *ctx)
{
	stop_request(ctx, STOP_QUIT, 0, "Ctrl-A x");
}

int consoles_attach(struct consoles *consoles, struct console *serial,
		    struct platform *platform, struct machine_devices *devices,
		    struct event_loop *loop, struct error *err)
{
	struct machine_device *hvc = devices_find(devices, &console_kind, 0);
	struct console_port port = serial_console_port(&platform->serial);

	*consoles = (struct consoles){ .serial = serial };
	if (console_attach(serial, &port, loop, on_quit, platform->stop, err))
		return -1;
	if (!hvc)
		return 0;
	consoles->hvc = hvc->host;
	port = virtio_console_port(hvc->dev);
	return console_attach(consoles->hvc, &port, loop, on_quit,
			      platform->stop, err);
}

void consoles_detach(struct consoles *consoles)
{
	console_detach(consoles->hvc);
	console_detach(consoles->serial);
}

void consoles_flush(struct consoles *consoles, int interrupt_fd)
{
	console_flush(consoles->serial, interrupt_fd);
	console_flush(consoles->hvc, interrupt_fd);
}
