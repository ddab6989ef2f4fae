/* simenv_int.h - the groups of the simulated Env, one file each; simenv.c puts them into its table.
 */
#ifndef SIM_SIMENV_INT_H
#define SIM_SIMENV_INT_H

#include "sim/proc.h"

/* simenv_thread.c */
enum status simenv_thread_start(struct env *e, struct env_thread *t, const char *name,
                                void (*run)(void *arg), void *arg);
void simenv_thread_join(struct env *e, struct env_thread *t);
void simenv_mutex_init(struct env *e, struct env_mutex *m);
void simenv_mutex_release(struct env *e, struct env_mutex *m);
void simenv_mutex_lock(struct env *e, struct env_mutex *m);
void simenv_mutex_unlock(struct env *e, struct env_mutex *m);
void simenv_cond_init(struct env *e, struct env_cond *c);
void simenv_cond_release(struct env *e, struct env_cond *c);
enum status simenv_cond_wait(struct env *e, struct env_cond *c, struct env_mutex *m,
                             uint64_t mono_ns);
void simenv_cond_signal(struct env *e, struct env_cond *c);
void simenv_cond_broadcast(struct env *e, struct env_cond *c);

/* simenv_file.c */
enum status simenv_file_open(struct env *e, const char *path, unsigned flags, int *fd);
enum status simenv_file_pread(struct env *e, int fd, void *buf, size_t size, uint64_t offset,
                              size_t *got);
enum status simenv_file_pwrite(struct env *e, int fd, const void *buf, size_t size, uint64_t offset,
                               size_t *put);
enum status simenv_file_append(struct env *e, int fd, const struct env_slice *parts, int count,
                               size_t *put);
enum status simenv_file_sync(struct env *e, int fd);
enum status simenv_file_datasync(struct env *e, int fd);
enum status simenv_file_truncate(struct env *e, int fd, uint64_t size);
enum status simenv_file_allocate(struct env *e, int fd, uint64_t offset, uint64_t size,
                                 bool keep_size);
enum status simenv_file_size(struct env *e, int fd, uint64_t *size);
enum status simenv_file_writeback(struct env *e, int fd, uint64_t offset, uint64_t size);
enum status simenv_fd_close(struct env *e, int fd);

/* simenv_dir.c */
enum status simenv_dir_make(struct env *e, const char *path);
enum status simenv_dir_list(struct env *e, const char *path, env_list_fn *each, void *arg);
enum status simenv_dir_sync(struct env *e, const char *path);
enum status simenv_path_stat(struct env *e, const char *path, struct env_stat *st);
enum status simenv_path_rename(struct env *e, const char *from, const char *to);
enum status simenv_path_link(struct env *e, const char *from, const char *to);
enum status simenv_path_remove(struct env *e, const char *path);
enum status simenv_path_lock(struct env *e, const char *path, int *fd);
enum status simenv_path_free_space(struct env *e, const char *path, uint64_t *bytes);

/* simenv_sock.c */
enum status simenv_sock_listen(struct env *e, const struct env_addr *addr, int backlog, int *fd);
enum status simenv_sock_accept(struct env *e, int listener, int *fd, struct env_addr *peer);
enum status simenv_sock_connect(struct env *e, const struct env_addr *addr, int *fd);
enum status simenv_sock_error(struct env *e, int fd);
enum status simenv_sock_read(struct env *e, int fd, void *buf, size_t size, size_t *got);
enum status simenv_sock_write(struct env *e, int fd, const struct env_slice *parts, int count,
                              size_t *put);
enum status simenv_sock_shutdown(struct env *e, int fd);
enum status simenv_sock_option(struct env *e, int fd, enum env_sockopt option, int value);
enum status simenv_sock_local(struct env *e, int fd, struct env_addr *addr);
enum status simenv_poller_open(struct env *e, int *poller);
enum status simenv_poller_set(struct env *e, int poller, int fd, unsigned interest, uint64_t token);
enum status simenv_poller_wait(struct env *e, int poller, struct env_event *events, int max,
                               uint64_t mono_ns, int *count);
void simenv_poller_wake(struct env *e, int poller);
enum status simenv_stop_subscribe(struct env *e, int poller);

/* ---- what the disk calls share (simenv_file.c) ---- */

/* Before an operation: crash points and shadow points. May not return (the process dies here). */
void simenv_disk_enter(struct proc *p, enum disk_op op);
/* The device works: parks the running task for as long as it takes. */
void simenv_disk_wait(struct proc *p, enum disk_op op, size_t bytes);
/* After it: the same points again. */
void simenv_disk_leave(struct proc *p, enum disk_op op);

#endif
