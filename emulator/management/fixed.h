/*
 * A management program has `void run(void)`, which is called once in each phase in which it is to run. Variables keep
 * their values from one call to the next. There is no floating-point unit that a compiler for Lakemont uses, and no
 * library but memcpy, memmove, memset, memcmp and division of 64-bit numbers.
 *
 * STEP, PHASE and CORE say when and where; arrays below are the state of neuron cores. A write that is out of range,
 * like a pointer to nowhere, ends the run with an error that names the line.
 */
#ifndef MANAGEMENT_H
#define MANAGEMENT_H

typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef uint32_t size_t;

void run(void);
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#define MANAGEMENT_INLINE static inline __attribute__((unused))

/* Registers. */
