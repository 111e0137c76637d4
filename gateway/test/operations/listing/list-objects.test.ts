import type { CairnClient, ListObjectsOptions } from '@cairn/client'
import type { ListedObject, ListObjectsResponse } from '@cairn/protocol'
import { expect } from 'chai'
import { DEFAULT_GATEWAY_CONFIG } from '../../../src/config.js'
import { parseQuery } from '../../../src/http/query.js'
import { listObjects } from '../../../src/operations/listing/list-objects.js'
import type { OperationContext } from '../../../src/operations/types.js'

/** Rows that the service looks at for one page here. */
const ROWS_PER_PAGE = 3

const MARKERS = ['d/00', 'd/01', 'd/02', 'd/03', 'd/04', 'd/05', 'd/06', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6']
const LIVE = ['a', 'd/9', 'n', 'n/1', 'z']
const ROWS = [...MARKERS, ...LIVE].sort()
const FACTS = { modifiedMs: 0, sizeBytes: 0, etag: '', owner: '' }

/** Ends its pages early, as the service does behind 100,000 rows. */
async function listRows(_bucket: string, options: ListObjectsOptions = {}): Promise<ListObjectsResponse> {
  const { delimiter = '', after = '', limit = 1000 } = options
  const rows = ROWS.filter((key) => key > after && nameOf(key, delimiter) !== after)
  const names = new Set<string>()
  let seen = 0
  let next = ''
  for (const key of rows.slice(0, ROWS_PER_PAGE)) {
    if (LIVE.includes(key) && names.size === limit) break
    seen++
    next = LIVE.includes(key) ? nameOf(key, delimiter) : key
    if (LIVE.includes(key)) names.add(next)
  }
  const isPrefix = (name: string) => delimiter !== '' && name.endsWith(delimiter)
  const objects = [...names]
    .filter((name) => !isPrefix(name))
    .map((key) => ({ key, ...FACTS }) as ListedObject)
  return { objects, commonPrefixes: [...names].filter(isPrefix), truncated: seen < rows.length, next }
}

/** The entry that a key is listed as. */
function nameOf(key: string, delimiter: string): string {
  const at = delimiter === '' ? -1 : key.indexOf(delimiter)
  return at < 0 ? key : key.slice(0, at + delimiter.length)
}

function valuesOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</`, 'g'))].map((found) => found[1] ?? '')
}

/** All entries, as a client walks: by `NextMarker`, or else behind the last key. */
async function walk(query: string): Promise<string[]> {
  const seen: string[] = []
  for (let marker = ''; seen.length <= LIVE.length; ) {
    const answer = await listObjects.handle({
      client: { listObjects: listRows } as Partial<CairnClient>,
      bucket: 'bucket',
      query: parseQuery(`${query}&marker=${encodeURIComponent(marker)}`),
      config: DEFAULT_GATEWAY_CONFIG,
      principal: { kind: 'anonymous' },
    } as unknown as OperationContext)
    const xml = String(answer.body)
    const entries = [...valuesOf(xml, 'Key'), ...valuesOf(xml, 'CommonPrefixes><Prefix')].sort()
    seen.push(...entries)
    if (xml.includes('<IsTruncated>false<')) return seen
    expect(entries, 'a page to go on from').to.not.deep.equal([])
    marker = valuesOf(xml, 'NextMarker')[0] ?? entries.at(-1) ?? ''
  }
  throw new Error(`more than there is: ${seen}`)
}

describe('ListObjects', () => {
  for (const limit of [1, 2, 5]) {
    it(`shows what is behind many delete markers, ${limit} a page`, async () => {
      expect(await walk(`max-keys=${limit}`)).to.deep.equal(LIVE)
    })

    it(`shows a group with many delete markers before its object, ${limit} a page`, async () => {
      expect(await walk(`delimiter=%2F&max-keys=${limit}`)).to.deep.equal(['a', 'd/', 'n', 'n/', 'z'])
    })
  }
})
