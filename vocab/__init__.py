"""What the words mean: pure values, no network, no clock, no store.

terms         IRIs, media types and the contexts we write
jsonld        strict JSON in and out; JSON-LD through bundled contexts
canonical     the bytes that are hashed and signed
activities    what actors tell others        actors   who they are
objects       what they tell about           markup   HTML in and out
cases         our case: its fields, its rules, its Article, its facets
claimreview   what a case says in schema.org's words
charter  states  lists  form  crosswalk  samples     the domain data, with labels by language
errors        what can go wrong
"""
