/*
 * log.h - messages to stderr, one line each.
 * Control characters in a message are escaped, so that text from a peer cannot
 * forge a line.  Safe to call from any thread.
 */
#ifndef LOG_H
#define LOG_H

/* LOG_LEVEL_NOTICE: asked for, shown always */
enum log_level { LOG_LEVEL_NOTICE, LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* an event that may repeat: reported at once, then at doubling intervals */
struct log_repeat {
	unsigned long long	count;	/* since the first one */
	long long		next_ms;
	long long		interval_ms;
};

void	log_threshold(enum log_level);
void	log_message(enum log_level, const char *, ...) __attribute__((__format__(__printf__, 2, 3)));

/* true if this occurrence is to be reported */
int	log_repeat_due(struct log_repeat *);
void	log_repeat_reset(struct log_repeat *);

#define log_notice(...)	log_message(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_error(...)	log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)	log_message(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)	log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	log_message(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
