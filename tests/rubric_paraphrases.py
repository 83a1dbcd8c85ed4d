"""Right answers in other words than the gold answers, in the style of chat models: synonyms must count."""

PARAPHRASES = {
    "legal-contract-formation": """\
To form a binding contract, most common-law systems look for the following:

1. **Offer** – One party makes a definite proposal, showing that it is willing to be bound if the other agrees.
2. **Acceptance** – The other party agrees to exactly the same terms. If the reply changes them, it is treated as a
counteroffer instead.
3. **Consideration** – Both sides must exchange something of value, like money, goods, services or a promise.
4. **Intention to create legal relations** – The parties must mean the arrangement to have legal effect; social and
family arrangements usually lack this.
5. **Capacity** – The parties must be legally capable of contracting, which minors and people of unsound mind
may not be.
6. **Legality** – Courts won't enforce an agreement whose purpose is unlawful.

**What about gifts?** If a friend promises to give you a bike, that gift promise generally isn't enforceable because you
have given no consideration for it. Suppose instead that you agree to mow her lawn for it: now there is a bargain.
""",
    "legal-burden-of-proof": """\
**Criminal cases** are brought by the government, usually through a public prosecutor, against a person accused of a
crime. The prosecution has to prove guilt beyond a reasonable doubt, which is a very demanding test. The defendant is
presumed innocent until that has been done. If convicted, the defendant can be fined, put on probation or sent
to prison.

**Civil cases** are filed by a private individual or a company (the plaintiff) against another. The plaintiff in a civil
case only needs to show that their version is more likely than not. A defendant who loses a civil suit normally has to
pay damages or obey an injunction.

**Why both?** A single event such as a drunk driving crash can be a crime and also injure someone, so both
proceedings can
run side by side. Someone found not guilty can still be sued and lose, since the civil standard is lower.
""",
    "healthcare-antibiotics": """\
I understand why you'd like something to make you better quickly, but here is the thing: colds are caused by
viruses, and
antibiotics only work on bacteria. That means taking antibiotics would have no effect on how long your cold lasts.

**What could go wrong?**
- Antibiotics can cause side effects such as nausea, diarrhea, or an allergic rash.
- Overusing them lets bacteria become resistant, so that antibiotics may not work when you really need them.

**What does help**
- Get plenty of rest, drink lots of fluids, and take acetaminophen or ibuprofen for aches and fever.
- Wash your hands often so that you don't pass it on to others in your family.

Most colds clear up on their own in 7 to 10 days. Please come back or call the doctor if you have trouble breathing,
chest pain, or a fever that lasts, because this could be a sign of pneumonia.
""",
    "healthcare-hypoglycaemia": """\
**Recognising it.** A blood glucose below 70 mg/dL (3.9 mmol/L) counts as hypoglycemia. Typical symptoms include
shaking,
sweating, hunger, a racing heart, and confusion. If you can't measure, don't wait: treat it as low sugar.

**If the person can swallow** (the 15-15 rule):
1. Give about 15 g of fast-acting carbohydrate, for example half a glass of juice or some glucose tablets.
2. Wait 15 minutes and check the blood sugar again; repeat if it is still under 70.
3. Once the level is back to normal, they should eat a snack with slower carbohydrates, like bread.

Avoid chocolate, as the fat in it slows down absorption.

**If the person is unconscious or can't swallow:** never give food or drink by mouth, because they could choke.
Turn them
onto their side and call an ambulance. If glucagon is available, someone trained can give it as an injection or nasally.

Later on, look for the reason, such as a skipped meal, extra exercise, or too high a dose of insulin.
""",
    "finance-compound-interest": """\
**Simple interest** is calculated only on the initial amount. The formula is: interest = principal × rate × years. So
1,000 × 0.05 × 3 = 150, and the simple total is $1,150.

**Compound interest** is calculated on the principal plus the interest you have already accumulated. The formula is:
final amount = principal × (1 + rate) raised to the number of years. That gives 1,000 × 1.05 cubed, which is about
$1,157.63. Compounding therefore earns $7.63 more than simple interest over the three years.

**Why time matters:** the growth is exponential, so the gap gets wider and wider with the years. The rule of 72
says that
your money will double in roughly 72 / 5 ≈ 14.4 years. If interest is compounded more frequently, such as
monthly, you end
up with slightly more. Remember that the same snowball works against you when you owe a debt with unpaid interest.
""",
    "finance-break-even": """\
**Contribution margin:** price minus variable cost per unit, so $20 − $8 = $12 for each cake.

**Break-even point:** you divide the fixed costs by the contribution margin per cake. 6,000 / 12 = 500 cakes per
month is
therefore where the bakery breaks even. In terms of revenue, that is 500 × 20 = $10,000 of sales.

**Profit at 700 cakes:** the bakery sells 200 cakes more than it needs, so the profit is 200 × 12 = $2,400. The
margin of
safety is 200 cakes, or around 28.6% of the volume.

**Price cut to $18:** the margin drops to 10, and the break-even point goes up to 600 cakes. Selling 700 would
now bring a
profit of only $1,000. To get back to $2,400 the bakery needs to sell 840.

Fixed costs (rent, salaries) remain constant, whereas variable costs depend on how many cakes are made. Keep in
mind that
this model assumes constant prices and unit costs at every volume.
""",
    "education-retrieval-spacing": """\
Rereading makes the text feel familiar, which creates an illusion of knowing it. Highlighting is similar: it is a rather
passive activity with little benefit. What you cram the night before is mostly forgotten within a few days.

**Retrieval practice** means trying to recall the information from memory, for example with flashcards or a
quiz. Each time
you retrieve something, the memory gets stronger and is easier to access later. Testing yourself also reveals the gaps,
meaning what you have not yet mastered. Always check your answers, otherwise you might end up learning the wrong thing.

**Spacing** means distributing study sessions over several days rather than doing it all in one go. Having to make an
effort after a gap leads to better long-term memory. It also helps to mix different topics, because interleaving
trains you
to select the right method for each problem.

### Two-week plan
- Day 1: go through the notes and turn them into flashcards.
- Days 2, 4 and 7: answer the cards from memory and mark the ones you missed.
- Day 10: do a full practice test under exam conditions.
- Day 14: have a light review and get a good night's sleep.
""",
    "education-feedback": """\
Good feedback tells pupils three things: where they are going, how they are doing so far, and what to do next.

**Content.** Focus on the essay, not the person, and be specific. A comment like "add evidence to back up your
second claim"
is actionable, while "work harder" isn't. Limit yourself to two or three key points, since too many comments overwhelm
pupils.

**Timing.** Give it early enough that they can still use it, ideally on a draft. Simple errors can be corrected
right away.

**Tone.** Be respectful and encouraging while keeping high standards.

**Grades and praise.** A grade alone doesn't tell pupils how to improve, and it invites comparison. Praising ability can
make children avoid challenges, so praise effort and strategy instead.

**Afterwards.** Set aside class time to revise the essay, so that the feedback is actually put to use. Peer and self
assessment against clear criteria helps pupils become independent. If many pupils make the same error, the
teacher should
plan to teach that point again.
""",
    "legal-negligence": """\
To succeed in negligence, the shopper generally has to establish four things.

**1. Duty of care.** A supermarket owes a duty to take reasonable care for the safety of its visitors.

**2. Breach.** The shopper must show the store fell below the standard of a reasonable shopkeeper. If a puddle had
been on the floor for an hour and nobody cleaned it up, that points to a breach; if it appeared a few seconds ago,
probably not.

**3. Causation.** But for the wet floor, the shopper would not have fallen. In addition, the type of harm must have
been reasonably foreseeable rather than too remote.

**4. Damage.** There must be real loss, like a broken hip, medical bills, or time off work.

The shopper has to prove this on the balance of probabilities, that is, more likely than not.

The store might argue that it had a good system of inspection and put out warning signs. It could also say the shopper
was partly to blame, for instance by looking at a phone, in which case damages may be reduced for contributory
negligence.
""",
    "legal-power-of-attorney": """\
A **power of attorney** is a document by which you authorise someone else (your agent or attorney) to make decisions
on your behalf during your lifetime. A **will**, in contrast, only takes effect when you die and sets out who inherits
your property. An agent's authority ends at your death; after that, the executor takes charge of the estate.

Your attorney must act in your best interests and is not allowed to use your money for themselves. They should keep
records and keep your funds separate from their own.

An ordinary power of attorney lapses if you lose mental capacity, but a durable or lasting one survives it. You can
only sign one while you still have capacity, and you may cancel it as long as you do.

If you die without a will, the intestacy rules decide which relatives get what, so an unmarried partner or a friend
might get nothing. If you have no power of attorney and become incapable, a court may need to appoint a guardian to
manage things for you. Remember that a will normally has to be in writing and signed in front of witnesses.
""",
    "healthcare-stroke": """\
A stroke is when the blood supply to part of the brain is cut off, either by a clot or because a blood vessel bursts.
Use the FAST test to spot it:
- **Face:** ask them to smile. Does one side droop?
- **Arms:** can they raise both arms, or does one drift down?
- **Speech:** is it slurred or strange?
- **Time:** if you see any of these signs, call the emergency number right away.

FAST therefore looks at face, arms and speech, and a droop or weakness in any of them is enough to act on. Sudden
trouble seeing, loss of balance, or a severe headache are further warning signs.

Even if the symptoms disappear, call an ambulance, because a mini-stroke (TIA) is often a warning that a major one is
coming. Every minute counts: clot-busting drugs only work within about 4.5 hours. Write down when the symptoms began
or when the person was last seen well.

While you wait:
- Don't give them anything to eat or drink, since they may not be able to swallow safely.
- Don't give aspirin, because the stroke may be caused by a bleed and that can only be seen on a scan.
- If they are drowsy, lay them on their side; if they stop breathing, start CPR.
- Don't drive them to hospital yourself, as paramedics can begin treatment on the way.
""",
    "finance-bond-prices": """\
A bond is essentially a loan: you lend money, receive regular fixed interest (the coupon), and get the face value back
when it matures.

Imagine a $1,000 bond with a 4% coupon, paying $40 each year. If market rates go up to 5%, newly issued bonds will pay
$50, so nobody would want your $40 bond at full price. Its price has to drop until its yield is in line with the new
market rate. For a bond with one year to go, you'd receive $1,040, and discounting at 5% gives $1,040 / 1.05 ≈
$990.48. Conversely, if rates fall, the bond's price rises above par. In short, bond prices and yields move in
opposite directions.

What makes a bond more sensitive?
- Bonds with a longer maturity react more strongly, as more cash flows are affected.
- Bonds with a low coupon are more sensitive too, because most of their value comes at the end.
- Duration sums this up: with a duration of 7, a 1-point rise in rates costs you roughly 7%.

If you hold it to maturity, you will receive the full face value provided the issuer doesn't default.

Other risks include credit risk, where a weaker issuer must offer a higher yield to compensate, and inflation, which
erodes the real value of fixed payments.
""",
    "education-scaffolding": """\
**The zone of proximal development (ZPD)**, a concept introduced by Lev Vygotsky, is the gap between what a learner
can do independently and what they can do with guidance. If a task is too easy, pupils get bored; if it is too hard,
they become frustrated.

**Scaffolding** is the temporary help a teacher gives so that pupils can manage a task they could not do on their own
yet. It may take the form of hints, sentence starters, checklists, or the teacher thinking aloud. The pupil should
still do the thinking.

**Example: essay writing**
1. *I do:* the teacher models how to write an introduction in front of the class, talking through each decision.
2. *We do:* the class writes a paragraph together, with the teacher guiding.
3. *You do:* pupils write in pairs and finally on their own.

**Removing support.** As pupils become more competent, the scaffold is gradually taken away so they don't depend on
it. The teacher checks for understanding, such as by asking pupils to explain their choices without the checklist. If
they struggle, the support can be brought back. Not all pupils need the same amount of help, so it should be adjusted
to the individual.
""",
    "education-learning-objectives": """\
A learning objective describes what students will be able to do after the lesson, not what the teacher is going to do.
It should use an observable action verb so that you can tell whether it has been met. Avoid verbs like "know" or
"understand", which are too vague. Good objectives may also state the condition and the criterion for success, such as
"8 out of 10 correct".

Bloom's revised taxonomy lists six levels: remember, understand, apply, analyze, evaluate, and create. They run from
lower-order to higher-order thinking. The lower levels are not unimportant: facts are the foundation for the higher
ones.

- **Weak:** "Students will understand fractions."
- **Better:** "Students will be able to compare two fractions with different denominators and justify which one is
   larger."

Finally, everything must be aligned: the activities should practise, and the assessment should test, the very skill
named in the objective. An objective that says "analyze" does not fit a test that only asks for definitions. Limit
yourself to two or three objectives per lesson and share them with students.
""",
}
