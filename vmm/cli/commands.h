/* The commands of the onggi program. Each gets the words behind its name and
 * returns the process's exit status. */
#pragma once

int command_run(int argc, char **argv);
int command_doctor(int argc, char **argv);
