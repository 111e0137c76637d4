import type { CairnClient } from '@cairn/client'
import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { CorsCache } from '../../src/http/cors-cache.js'
import { CORS_BUCKETS_MAX, CORS_CACHE_MS } from '../../src/limits.js'
import { encodeCorsRules } from '../../src/operations/buckets/cors-rules.js'

describe('CorsCache', () => {
  let reads: string[]
  let answer: () => Promise<Uint8Array | undefined>
  let cache: CorsCache

  beforeEach(() => {
    reads = []
    answer = async () => undefined
    const client: Partial<CairnClient> = {
      getBucketConfiguration(bucket) {
        reads.push(bucket)
        return answer()
      },
    }
    cache = new CorsCache(client as CairnClient)
  })

  it('reads the rules of a bucket once within its time', async () => {
    await Promise.all([cache.find('a', 0), cache.find('a', 10)])
    await cache.find('a', CORS_CACHE_MS - 1)
    expect(reads).to.deep.equal(['a'])
    await cache.find('a', CORS_CACHE_MS)
    expect(reads).to.deep.equal(['a', 'a'])
  })

  it('does not show what was being read when the rules changed', async () => {
    const rules = encodeCorsRules([])
    let finish: (document: Uint8Array) => void = () => undefined
    answer = () =>
      new Promise((resolve) => {
        finish = resolve
      })
    const before = cache.find('a', 0)
    const finishOld = finish
    cache.forget('a')
    answer = async () => undefined
    const after = cache.find('a', 1)
    finishOld(rules)
    expect(await before).to.deep.equal([])
    expect(await after).to.equal(undefined)
    expect(await cache.find('a', 2)).to.equal(undefined)
    expect(reads).to.have.length(2)
  })

  it('tells a missing bucket from one without rules, and remembers no failure', async () => {
    answer = async () => {
      throw new CairnError('NoSuchBucket', 'none')
    }
    expect(await cache.find('none', 0)).to.equal('NoSuchBucket')
    answer = async () => {
      throw new CairnError('ConnectionLost', 'gone')
    }
    const failure = await cache.find('a', 0).catch((error: CairnError) => error.code)
    expect(failure).to.equal('ConnectionLost')
    answer = async () => undefined
    expect(await cache.find('a', 0)).to.equal(undefined)
  })

  it('refuses rules of a newer format', async () => {
    answer = async () => Buffer.from('{"format":2,"rules":[]}')
    const failure = await cache.find('a', 0).catch((error: Error) => error.message)
    expect(failure).to.include('format 2')
  })

  it('remembers a bounded number of buckets', async () => {
    for (let at = 0; at <= CORS_BUCKETS_MAX; at++) await cache.find(`b${at}`, 0)
    reads.length = 0
    await cache.find('b0', 0)
    await cache.find(`b${CORS_BUCKETS_MAX}`, 0)
    expect(reads).to.deep.equal(['b0'])
  })
})
