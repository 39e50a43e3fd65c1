/* The bare loop in C with OpenSSL: what `floor` does, flat out, to hold the Rust one against.
 *
 * floor_c BYTES BURST SECONDS CPU PORT... prints `"packets":N,"ns":X`. One context a receiver, only the IV set for a packet.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <openssl/evp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { HEADER = 20, TAG = 16, MAX_MESSAGES = 64, MAX_BYTES = 192 * 1024, STAMP = 16, MAX_BURST = 64 };

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return 1000ull * ((uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u
                      + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec));
}

static void put64(uint8_t *at, uint64_t value) {
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> (56 - 8 * i));
}

static void derive(const uint8_t *master, const uint8_t *salt, uint8_t label, uint8_t *out, int length) {
    uint8_t counter[16] = {0}, zeros[16] = {0};
    memcpy(counter, salt, 12);
    counter[7] ^= label;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), NULL, master, counter);
    int written;
    EVP_EncryptUpdate(context, out, &written, zeros, length);
    EVP_CIPHER_CTX_free(context);
}

struct receiver {
    EVP_CIPHER_CTX *context;
    uint8_t salt[12];
    struct sockaddr_in to;
};

static void seal(struct receiver *receiver, uint8_t *out, const uint8_t *payload, int size, uint64_t number, uint32_t time) {
    uint8_t iv[12];
    int written;
    memcpy(out, "\x90\x65\0\0\0\0\0\0\0\0\0\1\xBE\xDE\0\1\x10" "0\0\0", HEADER);
    out[2] = (uint8_t)(number >> 8), out[3] = (uint8_t)number;
    for (int i = 0; i < 4; i++) out[4 + i] = (uint8_t)(time >> (24 - 8 * i));
    memcpy(iv, receiver->salt, 12);
    iv[5] ^= 1; /* the SSRC */
    for (int i = 0; i < 6; i++) iv[6 + i] ^= (uint8_t)(number >> (40 - 8 * i));
    EVP_EncryptInit_ex(receiver->context, NULL, NULL, NULL, iv);
    EVP_EncryptUpdate(receiver->context, NULL, &written, out, HEADER);
    EVP_EncryptUpdate(receiver->context, out + HEADER, &written, payload, size);
    EVP_EncryptFinal_ex(receiver->context, out + HEADER + size, &written);
    EVP_CIPHER_CTX_ctrl(receiver->context, EVP_CTRL_AEAD_GET_TAG, TAG, out + HEADER + size);
}

static struct mmsghdr headers[MAX_MESSAGES];
static struct iovec vectors[MAX_MESSAGES];
static _Alignas(8) char controls[MAX_MESSAGES][CMSG_SPACE(2)];

static void flush(int descriptor, int count) {
    int done = 0;
    while (done < count) {
        int sent = sendmmsg(descriptor, headers + done, (unsigned)(count - done), 0);
        done += sent > 0 ? sent : 1;
    }
}

int main(int argc, char **argv) {
    if (argc < 6) return fprintf(stderr, "floor_c BYTES BURST SECONDS CPU PORT...\n"), 2;
    int bytes = atoi(argv[1]), burst = atoi(argv[2]), count = argc - 5;
    double seconds = atof(argv[3]);
    if (burst > MAX_BURST || bytes < HEADER + STAMP + 12 + TAG || bytes > 1500) return 2;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(atoi(argv[4]), &set);
    sched_setaffinity(0, sizeof set, &set);
    struct receiver *receivers = calloc((size_t)count, sizeof *receivers);
    for (int i = 0; i < count; i++) {
        uint8_t master[16], salt[12], key[16];
        memset(master, i & 255, sizeof master);
        memset(salt, i >> 8, sizeof salt);
        derive(master, salt, 0, key, 16);
        derive(master, salt, 2, receivers[i].salt, 12);
        receivers[i].context = EVP_CIPHER_CTX_new();
        EVP_EncryptInit_ex(receivers[i].context, EVP_aes_128_gcm(), NULL, key, NULL);
        receivers[i].to.sin_family = AF_INET;
        receivers[i].to.sin_port = htons((uint16_t)atoi(argv[5 + i]));
        receivers[i].to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20, size = bytes - HEADER - TAG;
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    uint8_t *out = malloc(MAX_BYTES + (size_t)burst * (size_t)bytes);
    static uint8_t source[MAX_BURST][1500];
    memset(source, 0x5A, sizeof source);
    uint64_t warm = now() + 200000000u, end = warm + (uint64_t)(seconds * 1e9), number = 0, frames = 0, before = 0;
    for (;;) {
        uint64_t moment = now();
        if (moment >= end) break;
        if (!before && moment >= warm) before = cpu(), frames = 0;
        for (int i = 0; i < burst; i++) put64(source[i] + STAMP, moment), memcpy(source[i] + STAMP + 8, "benc", 4);
        int messages = 0;
        size_t at = 0;
        for (int i = 0; i < count; i++) {
            vectors[messages] = (struct iovec){out + at, (size_t)burst * (size_t)bytes};
            for (int j = 0; j < burst; j++, at += (size_t)bytes)
                seal(&receivers[i], out + at, source[j], size, number + (uint64_t)j, (uint32_t)frames);
            struct msghdr *header = &headers[messages].msg_hdr;
            *header = (struct msghdr){.msg_name = &receivers[i].to, .msg_namelen = sizeof receivers[i].to,
                                      .msg_iov = &vectors[messages], .msg_iovlen = 1};
            if (burst > 1) {
                header->msg_control = controls[messages], header->msg_controllen = CMSG_SPACE(2);
                struct cmsghdr *note = CMSG_FIRSTHDR(header);
                uint16_t segment = (uint16_t)bytes;
                note->cmsg_level = SOL_UDP, note->cmsg_type = UDP_SEGMENT, note->cmsg_len = CMSG_LEN(2);
                memcpy(CMSG_DATA(note), &segment, 2);
            }
            if (++messages == MAX_MESSAGES || at >= MAX_BYTES) flush(descriptor, messages), messages = 0, at = 0;
        }
        flush(descriptor, messages);
        number += (uint64_t)burst, frames++;
    }
    uint64_t packets = frames * (uint64_t)burst * (uint64_t)count;
    printf("\"packets\":%llu,\"ns\":%.1f\n", (unsigned long long)packets, (double)(cpu() - before) / (double)(packets ? packets : 1));
    return 0;
}
