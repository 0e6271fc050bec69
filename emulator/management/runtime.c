/* What compilers call where no library is: blocks of memory, and division of 64-bit numbers. */

typedef unsigned int size_t;
typedef unsigned int word_t;
typedef long long signed_t;
typedef unsigned long long unsigned_t;

void *memcpy(void *to, const void *from, size_t n)
{
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return result;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *a = to;
    const unsigned char *b = from;
    if ((size_t)a - (size_t)b >= n)
        return memcpy(to, from, n);
    while (n--)
        a[n] = b[n];
    return to;
}

void *memset(void *to, int value, size_t n)
{
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
    return result;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    for (size_t k = 0; k < n; k++)
        if (x[k] != y[k])
            return x[k] - y[k];
    return 0;
}

/* Two divisions of the processor where the divisor has 32 bits, else long division in base 2. */
unsigned_t __udivmoddi4(unsigned_t a, unsigned_t b, unsigned_t *rest)
{
    unsigned_t quotient = 0, r = a;
    if (!(b >> 32)) {
        word_t divisor = (word_t)b, high = (word_t)(a >> 32), low, left;
        word_t upper = high / divisor; /* by 0: a divide error */
        __asm__("divl %4" : "=a"(low), "=d"(left) : "0"((word_t)a), "1"(high % divisor), "r"(divisor) : "cc");
        quotient = (unsigned_t)upper << 32 | low;
        r = left;
    } else if (a >= b) {
        int shift = __builtin_clz((word_t)(b >> 32)) - __builtin_clz((word_t)(a >> 32));
        b <<= shift;
        for (; shift >= 0; shift--, b >>= 1) {
            quotient <<= 1;
            if (r >= b) {
                r -= b;
                quotient |= 1;
            }
        }
    }
    if (rest)
        *rest = r;
    return quotient;
}

unsigned_t __udivdi3(unsigned_t a, unsigned_t b)
{
    return __udivmoddi4(a, b, 0);
}

unsigned_t __umoddi3(unsigned_t a, unsigned_t b)
{
    unsigned_t rest;
    __udivmoddi4(a, b, &rest);
    return rest;
}

static unsigned_t magnitude(signed_t a)
{
    return a < 0 ? -(unsigned_t)a : (unsigned_t)a;
}

signed_t __divdi3(signed_t a, signed_t b)
{
    unsigned_t q = __udivmoddi4(magnitude(a), magnitude(b), 0);
    return (signed_t)((a < 0) != (b < 0) ? -q : q);
}

signed_t __moddi3(signed_t a, signed_t b)
{
    unsigned_t r = __umoddi3(magnitude(a), magnitude(b));
    return (signed_t)(a < 0 ? -r : r);
}

signed_t __divmoddi4(signed_t a, signed_t b, signed_t *rest)
{
    signed_t q = __divdi3(a, b);
    *rest = a - q * b;
    return q;
}
