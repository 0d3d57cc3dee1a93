/* What src/ours.rs does, with libzmq: libzmq pipe COUNT SIZE | fan COUNT SIZE SUBSCRIBERS | share COUNT SIZE SUBSCRIBERS | trip COUNT SIZE */

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define ANYWHERE "tcp://127.0.0.1:*"

static long count;
static size_t size;
static char there[256], back[256];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void *bound(void *context, int type, char *endpoint) {
    void *socket = zmq_socket(context, type);
    int none = 0, yes = 1;
    size_t length = 256;
    if (type == ZMQ_XPUB) {
        zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
        zmq_setsockopt(socket, ZMQ_XPUB_VERBOSE, &yes, sizeof yes);
    }
    assert(zmq_bind(socket, ANYWHERE) == 0);
    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &length);
    return socket;
}

static void *connected(void *context, int type, const char *endpoint) {
    void *socket = zmq_socket(context, type);
    if (type == ZMQ_SUB)
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    assert(zmq_connect(socket, endpoint) == 0);
    return socket;
}

static double receive_all(void *socket) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    zmq_msg_recv(&message, socket, 0);
    double began = now();
    for (long number = 1; number < count; number++)
        zmq_msg_recv(&message, socket, 0);
    double rate = count / (now() - began) / 1e6;
    zmq_msg_close(&message);
    return rate;
}

static void send_all(void *socket) {
    char *data = malloc(size);
    memset(data, 'x', size);
    for (long number = 0; number < count; number++)
        zmq_send(socket, data, size, 0);
    free(data);
}

static void keep(void *data, void *hint) {
    (void)data, (void)hint;
}

/* One buffer, which no message copies. */
static void share_all(void *socket) {
    char *data = malloc(size);
    memset(data, 'x', size);
    for (long number = 0; number < count; number++) {
        zmq_msg_t message;
        zmq_msg_init_data(&message, data, size, keep, NULL);
        zmq_msg_send(&message, socket, 0);
    }
}

/* Of all subscribers of the process: one thread for I/O, as the sockets that are compared have. */
static void *shared;

static void *subscriber(void *rate) {
    void *socket = connected(shared, ZMQ_SUB, there);
    *(double *)rate = receive_all(socket);
    zmq_close(socket);
    return NULL;
}

static void end(void *context, void *socket) {
    zmq_close(socket);
    zmq_ctx_term(context);
    while (wait(NULL) > 0)
        ;
}

static void pipe_(void) {
    void *context = zmq_ctx_new();
    void *push = bound(context, ZMQ_PUSH, there);
    if (fork() == 0) {
        void *pull = connected(zmq_ctx_new(), ZMQ_PULL, there);
        printf("%f\n", receive_all(pull));
        fflush(stdout);
        _exit(0);
    }
    send_all(push);
    end(context, push);
}

static void fan(int subscribers, void (*send)(void *)) {
    void *context = zmq_ctx_new();
    void *publisher = bound(context, ZMQ_XPUB, there);
    if (fork() == 0) {
        pthread_t threads[64];
        double rates[64], sum = 0;
        shared = zmq_ctx_new();
        for (int each = 0; each < subscribers; each++)
            pthread_create(&threads[each], NULL, subscriber, &rates[each]);
        for (int each = 0; each < subscribers; each++) {
            pthread_join(threads[each], NULL);
            sum += rates[each];
        }
        printf("%f\n", sum);
        fflush(stdout);
        _exit(0);
    }
    char subscription[8];
    for (int each = 0; each < subscribers; each++)
        zmq_recv(publisher, subscription, sizeof subscription, 0);
    send(publisher);
    end(context, publisher);
}

static int by_size(const void *one, const void *other) {
    double difference = *(const double *)one - *(const double *)other;
    return difference < 0 ? -1 : difference > 0;
}

static void trip(void) {
    void *context = zmq_ctx_new();
    void *push = bound(context, ZMQ_PUSH, there), *pull = bound(context, ZMQ_PULL, back);
    if (fork() == 0) {
        void *own = zmq_ctx_new();
        void *from = connected(own, ZMQ_PULL, there), *to = connected(own, ZMQ_PUSH, back);
        zmq_msg_t message;
        zmq_msg_init(&message);
        for (long number = 0; number < count; number++) {
            zmq_msg_recv(&message, from, 0);
            zmq_msg_send(&message, to, 0);
            zmq_msg_init(&message);
        }
        zmq_close(from);
        end(own, to);
        _exit(0);
    }
    char *data = malloc(size);
    memset(data, 'x', size);
    double *times = malloc(count * sizeof *times);
    for (long number = 0; number < count; number++) {
        double began = now();
        zmq_send(push, data, size, 0);
        zmq_recv(pull, data, size, 0);
        times[number] = now() - began;
    }
    qsort(times, count, sizeof *times, by_size);
    printf("%f\n", times[count / 2] * 1e6);
    zmq_close(pull);
    end(context, push);
}

int main(int arguments, char **argument) {
    if (arguments < 4)
        return 2;
    count = atol(argument[2]);
    size = atol(argument[3]);
    if (strcmp(argument[1], "pipe") == 0)
        pipe_();
    else if (strcmp(argument[1], "fan") == 0 && arguments == 5)
        fan(atoi(argument[4]), send_all);
    else if (strcmp(argument[1], "share") == 0 && arguments == 5)
        fan(atoi(argument[4]), share_all);
    else if (strcmp(argument[1], "trip") == 0)
        trip();
    else
        return 2;
    return 0;
}
