/** Ways in which a store of objects may be wrong, each of which systems like this one have had. */
export const BUGS = [
  'absent although it is there',
  'acknowledged before it happens',
  'bytes of another key',
  'bytes of another version',
  'complete happens again when asked again',
  'condition before commit',
  'delete applied twice',
  'delete marker read through',
  'deleted version returns',
  'failure without proof',
  'good condition refused',
  'list misses a key',
  'list out of order',
  'list shows a deleted key',
  'list shows a key twice',
  'list shows an old ETag',
  'list shows what nobody wrote',
  'lost delete',
  'lost write',
  'older clock wins',
  'parts in the wrong order',
  'refused although it happened',
  'resurrected delete',
  'retry applied twice',
  'stale ETag admitted',
  'stale read',
  'time travel',
  'torn multipart',
  'truncated body',
  'two winners',
  'version not deleted',
  'versions overwritten',
  'wrong version deleted',
] as const

export type Bug = (typeof BUGS)[number]

/** Bugs that need a versioned bucket to show. */
export const VERSIONED_BUGS: readonly Bug[] = [
  'deleted version returns',
  'version not deleted',
  'versions overwritten',
  'wrong version deleted',
]
